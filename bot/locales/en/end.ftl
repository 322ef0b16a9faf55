end-details =
    seed { $seed } · { $width } × { $height } · { $steps ->
        [one] 1 step
       *[other] { $steps } steps
    } · guidance { $guidance }
end-details-several =
    seeds { $seed } to { $last } · { $width } × { $height } · { $steps ->
        [one] 1 step
       *[other] { $steps } steps
    } · guidance { $guidance }
end-smaller = Sent as { $format } because the PNG was too large for Discord here.
end-failed = ❌ Not rendered: { $reason }
end-dead =
    ❌ Rendering broke { $attempts ->
        [one] once
       *[other] { $attempts } times
    }, so this job was given up. Please ask once more; if it breaks again, tell the people who run this bot and give them the job number { $job }.
end-cancelled = 🚫 Cancelled.
end-lost = ❌ The picture was rendered, but its file cannot be read any more. Please ask once more; if it happens again, tell the people who run this bot and give them the job number { $job }.
end-too_large = ❌ The picture was rendered, but Discord takes no file of its size here. Ask for fewer pictures, or have someone with Manage Server choose a smaller size with /settings set.
end-broken = ❌ The answer to this job could not be put together. The people who run this bot find the reason in its log under { $error }.
end-number = -# job { $job }
end-mention = { $mention }, here is your answer; the first message can no longer be changed.
reason-unrenderable = the pictures do not fit into the memory of the machine that draws. Ask for fewer pictures, or have someone with Manage Server choose a smaller size with /settings set.
reason-unfit = what it brings along does not fit: the picture it begins from, its mask, or an adapter. Please choose another one.
reason-too_late = drawing took longer than this server allows. Ask for fewer pictures or steps, or try again later.
reason-source_gone = the picture it begins from is not there any more. Please send the picture again.
reason-unreadable = what was asked for cannot be read from the job table any more. Please ask once more.
reason-other_version = it was queued by another version of this bot, which this one does not understand. Please ask once more.
reason-other = the worker cannot render this request. Please change the prompt or the settings.
end-ready = { $mention }, your picture is ready.
