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
reason-unfit = the picture it begins from, or its mask, does not fit. Please choose another one.
reason-unfit_adapter = its adapter (LoRA) is not on the machine that draws, is damaged, or was made for another model. Please choose another one.
reason-unfit_embedding = its prompt names an embedding (textual inversion) that is damaged or was made for another model. Please leave that name out.
reason-unfit_control = its ControlNet is not on the machine that draws, is damaged, or was made for another model. Please choose another one, or ask without `--control`.
reason-unsupported_control = the model here takes no ControlNet (`--control`). Please ask without, or for another model.
reason-no_picture = the model computed no picture, only black. Please try another seed; if it happens again, tell the people who run this bot.
reason-unsupported_parts = the model here takes no weighted parts (`::`). Please ask for it as one prompt.
reason-unsupported_tile = the model here draws no seamless tiles (`--tile`). Please ask without.
reason-unsupported_draft = the model here knows no drafts (`--draft`). Please ask without.
reason-unsupported_chaos = the model here knows no `--chaos`. Please ask without.
reason-unsupported_stop = the model here cannot stop early (`--stop`). Please ask without.
reason-unsupported_sampler = the model here cannot be drawn with that `--sampler`. Please choose another one, or ask without.
reason-unsupported_negative = the model here takes no negative prompt (`--no`). Please ask without.
reason-unsupported_source = the model here cannot begin from a picture. Please ask by words alone.
reason-unsupported_inpaint = the model here cannot draw a part of a picture again. Please ask by words alone.
reason-too_late = drawing took longer than this server allows. Ask for fewer pictures or steps, or try again later.
reason-source_gone = the picture it begins from is not there any more. Please send the picture again.
reason-unreadable = what was asked for cannot be read from the job table any more. Please ask once more.
reason-other_version = it was queued by another version of this bot, which this one does not understand. Please ask once more.
reason-other = the worker cannot render this request. Please change the prompt or the settings.
end-begun_from = The model begins from your picture: it has no IP-Adapter, which would read it as a prompt.
end-ready = { $mention }, your picture is ready.
