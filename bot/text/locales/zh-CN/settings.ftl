command-settings = Daguerre 在本服务器的工作方式
command-settings-view = 查看本服务器的设置
command-settings-set = 修改本服务器的设置
command-settings-set-steps = 默认去噪步数，1 到 50：越多越慢，也越精细
command-settings-set-guidance = 图片贴合提示词的程度，1 到 12
command-settings-set-size = 图片的宽和高，以像素计
command-settings-set-allow_channel = 在这个频道允许 /imagine；一旦设了，就只有允许的频道能用
command-settings-set-remove_channel = 把这个频道从允许列表中去掉
command-settings-set-all_channels = 清空列表：所有频道都可以用 /imagine
settings-view =
    {""}**本服务器的设置**（/imagine 的默认值）
    步数：{ $steps }
    引导强度：{ $guidance }
    尺寸：{ $size }
    频道：{ $channels }
settings-view-size = { $size } × { $size } 像素
settings-view-model = 按模型的惯用值（{ $value }）
settings-view-all = **全部设置。** { $mark } 与默认值不同，括号里是默认值。长列表请用 /settings export 查看。
settings-saved = 已保存。{ $view }
settings-all_channels = 全部
settings-nothing = 没有要修改的内容：请至少给出 steps、guidance、size、allow_channel、remove_channel、all_channels 中的一项。
settings-not_allowed = 只有拥有“管理服务器”权限的成员才能查看或修改这些设置。
settings-server_only = 设置属于服务器。请在服务器里使用这个命令。
settings-range = “{ $field }”超出了范围：{ $allowed }。
settings-range-steps = 步数为 1 到 50
settings-range-guidance = 引导强度为 1 到 12
settings-range-size = 尺寸为 128、256、512、768 或 1024
settings-too_many_channels = 列表最多容纳 { $limit } 个频道。用 all_channels 可以允许所有频道。
name-settings = 设置
name-view = 查看
name-set = 修改
name-steps = 步数
name-guidance = 引导强度
name-size = 尺寸
name-allow_channel = 允许频道
name-remove_channel = 移除频道
name-all_channels = 所有频道
