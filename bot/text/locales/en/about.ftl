about-title = **Job** `{ $job }`
about-model = Model: { $model }
about-parent = Came from picture { $picture } of `{ $parent }` by “{ $action }”
about-children = Came of it: { $jobs }
about-when = { $state }; asked for <t:{ $created }:R>
about-unknown_job = You have no job whose number begins so. /history lists your pictures, /queue mine what is not done.
about-why-paused = paused by the people who look after the queue
about-why-no_worker = no worker is connected
about-why-no_fit = no connected worker can draw this
about-why-line = place { $place }
about-why-next = next in line
about-why-running = being drawn
about-why-done = (done in about { $eta })
state-queued = waiting
state-sent = handed to a worker
state-running = being drawn
state-rendered = drawn
state-delivered = done
state-cancelled = cancelled
state-failed = refused
state-dead = broke too often
mine-none = You have no jobs that wait or are being drawn.
mine-title =
    { $count ->
        [one] **Your job that is not done**
       *[other] **Your { $count } jobs that are not done**
    }
mine-line = `{ $job }` { $prompt }: { $why }
info-title = **What you may ask for here**
info-waiting = Jobs of yours that wait: { $waiting } of { $limit }
info-waiting-unlimited = Jobs of yours that wait: { $waiting }
info-time = Drawing time today: { $used } of { $limit } s; it begins anew <t:{ $resets }:R>
info-time-unlimited = Drawing time today: { $used } s
info-share = Your share: { $weight }. Jobs of this server that wait: { $waiting }; with a worker: { $running }.
info-jobs = Requests of yours with pictures: { $count }
info-workers = Workers: { $count }; jobs at a time: { $slots }
info-models = Models: { $models }
info-adapters = Fine-tunes (`--lora`): { $names }
info-adapter-words = { $name } (say “{ $words }”)
info-controls = ControlNets (`--control`, with a picture): { $names }
info-embeddings = Embeddings, to be named in a prompt: { $names }
prefer-all =
    {""}**What you prefer**
    Behind each prompt: { $suffix }
    Style: { $style }
    Several pictures: { $layout }
    Pictures of a request: { $count }
    Direct message too: { $direct }
    Only you see them: { $private }
    Mention you when it took longer: { $mention }
    Language: { $language }
prefer-nothing = nothing
prefer-yes = yes
prefer-no = no
album-history =
    { $count ->
        [one] **Your picture**
       *[other] **Your { $count } pictures**, newest first
    }
album-favourites =
    { $count ->
        [one] **Your favourite**
       *[other] **Your { $count } favourites**, newest first
    }
album-history-none = You have no pictures yet. Begin with /imagine.
album-favourites-none = You have no favourites yet. Press the heart below a picture.
album-line = { $number }. { $prompt } (`{ $job }`)
album-newer = Newer
album-older = Older
help-tour =
    {""}**Pictures from words**
    1. Type { $imagine } and what the picture shows: `/imagine a red apple`.
    2. The message shows your place, then the picture as it comes, then the result.
    3. Below several pictures, **U1** shows the first by itself, **V1** draws others like it. Below one picture you can vary it, redraw a part, draw on beyond its edges, make it larger, keep it as a favourite, or make an emoji of it.
    4. Flags behind the prompt say more: `a red apple --ar 3:2 --no leaf`. Braces ask for several things at once: `a {"{"}red, green{"}"} apple`.
    5. What you wait for: { $mine }. What you have: { $history }. What you always want: { $prefer }.
    Your messages stay yours: only you and those who moderate here can press their buttons.
    Commands, flags and buttons: { $help }.
help-commands = **Commands**
help-menu = Menu of a message → Apps → **{ $name }**
help-flags = **Flags**, behind the prompt
help-syntax = `a {"{"}red, green{"}"} apple` asks for both. `cat::2 dog::-0.5` weighs parts. A link to a picture in front begins from it. A backslash takes a sign's meaning: `\{"{"}`.
help-buttons = **Buttons**
help-reactions = As reactions: ✉️ sends you the pictures, ❌ cancels or deletes, ⭐ makes a favourite.
help-flag-ratio = width to height, such as 3:2, from 1:4 to 4:1
help-flag-seed = the same seed and prompt give the same picture
help-flag-negative = what should not be there
help-flag-stylize = how closely it follows the prompt: 0 to 1000, usually 100
help-flag-chaos = how much the pictures differ, 0 to 100
help-flag-quality = times the usual steps, 0.25 to 4
help-flag-steps = denoising steps, 1 to 100
help-flag-stop = percent of the steps after which it stops, 10 to 100
help-flag-tile = edges that fit together
help-flag-image_weight = how much of the picture in front stays, 0 to 3
help-flag-fit = how the picture in front comes into another shape: crop or pad
help-flag-repeat = so many requests of the same
help-flag-style = a drawing style
help-flag-draft = quick and rough
help-flag-transparent = without a background
help-flag-svg = with an SVG beside each picture
help-flag-raw = in one go: things are not drawn one by one
help-flag-model = which model draws
help-flag-control = your picture says where things are, by this ControlNet; `canny` goes by its edges
help-flag-sampler = what steps the picture, such as `euler-a` or `dpm++-2m-karras`
help-flag-adapters = a fine-tune, up to four of them
help-flag-count = pictures of the request, 1 to 4
help-flag-relaxed = wait for a quiet moment
help-button-cancel = stops a job that is not done
help-button-use = shows one picture by itself
help-button-vary = draws others like it
help-button-again = the same once more, with a new seed
help-button-remix = the same with another prompt
help-button-subtle = others that are very like it
help-button-strong = others that are rather like it
help-button-region = draws a part anew
help-button-upscale = twice as large
help-button-zoom15 = draws on around it: a frame of a quarter
help-button-zoom20 = draws on around it: a frame of a half
help-button-left = draws on to the left
help-button-right = draws on to the right
help-button-up = draws on above
help-button-down = draws on below
help-button-like = keeps it in /favourites; once more takes it out
help-button-info = seed, flags, where it came from
help-button-delete = takes the message away
help-button-emoji = adds it to the server's emoji
help-button-sticker = adds it to the server's stickers
help-button-vector = sends it as SVG, to be drawn at any size
help-button-report = tell the moderators of this server what is wrong with the picture
album-line-kept = { $number }. { $prompt } (`{ $job }`): { $why }
help-button-more = what else can be done with the picture, for you alone
prefer-minutes = after { $count } min
