command-settings = How Daguerre works in this server
command-settings-view = Show this server's settings
command-settings-set = Change this server's settings
command-settings-set-steps = Default denoising steps, 1 to 50: more is slower and finer
command-settings-set-guidance = How closely pictures follow the prompt, 1 to 12
command-settings-set-size = Width and height of a picture in pixels
command-settings-set-allow_channel = Allow /imagine in this channel; once one is allowed, only allowed ones work
command-settings-set-remove_channel = Take this channel off the list of allowed channels
command-settings-set-all_channels = Empty the list: /imagine works in every channel
settings-view =
    {""}**Settings of this server** (defaults for /imagine)
    Steps: { $steps }
    Guidance: { $guidance }
    Size: { $size }
    Channels: { $channels }
settings-view-size = { $size } × { $size } pixels
settings-view-model = as the model is made for ({ $value })
settings-view-all = **All settings.** { $mark } is not as by default; the default stands in brackets. /settings export has long lists whole.
settings-saved = Saved. { $view }
settings-all_channels = all
settings-nothing = Nothing to change: give at least one of steps, guidance, size, allow_channel, remove_channel and all_channels.
settings-not_allowed = Only members with the permission “Manage Server” may see or change these settings.
settings-server_only = Settings belong to a server. Use this command in one.
settings-range = “{ $field }” is out of range: { $allowed }.
settings-range-steps = steps go from 1 to 50
settings-range-guidance = guidance goes from 1 to 12
settings-range-size = sizes are 128, 256, 512, 768 and 1024
settings-too_many_channels = At most { $limit } channels fit on the list. Use all_channels to allow every channel.
name-settings = settings
name-view = view
name-set = set
name-steps = steps
name-guidance = guidance
name-size = size
name-allow_channel = allow_channel
name-remove_channel = remove_channel
name-all_channels = all_channels
