refused-prompt-empty = The prompt is empty. Write what the picture should show, for example: a red apple.
refused-prompt-long = The prompt has { $length } characters; at most { $limit } are possible. Please shorten it.
refused-count = Count must be from { $low } to { $high }.
refused-seed = Seed must be a whole number from { $low } to { $high }. Leave it out for a new picture each time.
refused-field = “{ $field }” is out of range. Please choose another value.
refused-long = What stands behind { $flag } has more than { $limit } characters. Please shorten it.
refused-range = { $flag } goes from { $low } to { $high }.
refused-pixels = That picture is too large for the models here: sides go up to { $side } pixels, and longer ones only in pictures of up to { $millions } million pixels. Please ask for a smaller one.
refused-unknown-style = I know no style { $name }. There are: { $known }
refused-unknown-model = No connected worker has a model { $name }. There are: { $known }
refused-unknown-lora = No connected worker has a fine-tune { $name }. There are: { $known }
refused-unknown-control = No connected worker has a ControlNet { $name }. There are: { $known }
refused-unknown-control-none = No connected worker has a ControlNet { $name }, or any other. Leave out --control.
refused-control-picture = --control needs a picture that says where things are: send one with it.
refused-unknown-lora-none = No connected worker has a fine-tune { $name }, or any other. Leave out --lora.
refused-words = I know none of these words. I was taught everyday things: try { $examples }.
refused-words-nearest = I know none of these words. Do you mean { $nearest }? I was taught everyday things: try { $examples }.
refused-words-meant = I know none of these words. The nearest that I know: { $nearest }. I was taught everyday things: try { $examples }.
refused-channel = /imagine is not switched on in this channel. It works in { $channels }.
refused-attach = I may not send files in this channel, so a picture could not arrive. Ask someone who manages this server to give me the permission “Attach Files” here.
refused-queue_full =
    { $limit ->
        [one] You already have a job waiting, which is all you may. Wait for it, or cancel it with its button.
       *[other] You already have { $limit } jobs waiting. Wait for one of them, or cancel one with its button.
    }
refused-queue_full-server =
    { $limit ->
        [one] A job of this server is waiting already, which is its limit. Try again when it has ended.
       *[other] { $limit } jobs of this server are waiting already, which is its limit. Try again when one of them has ended.
    }
refused-queue_full-total =
    { $limit ->
        [one] A job is waiting already, which is all that this bot takes. Try again when it has ended.
       *[other] { $limit } jobs are waiting already, which is all that this bot takes. Try again when one of them has ended.
    }
refused-queue_full-daily =
    That is more than the { $limit ->
        [one] one second of drawing
       *[other] { $limit } seconds of drawing
    } that you have a day. They begin anew <t:{ $resets }:R>.
refused-storage = The disk of this bot is full, so nothing can be queued. Please tell the people who run it, and try again later.
refused-queue_away = The job queue cannot be reached just now, so nothing was queued. Please try again in a minute.
refused-error = Something went wrong here, and nothing was done. Please try again; if it happens again, tell the people who run this bot and give them the number { $error }.
refused-restarting = This bot is restarting, so nothing was done. Please try again in a minute.
refused-outdated = This command has changed. Restart your Discord app to see the new one, and try again.
