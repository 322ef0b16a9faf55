about-title = **任务** `{ $job }`
about-model = 模型：{ $model }
about-parent = 来自 `{ $parent }` 的第 { $picture } 张图，操作为“{ $action }”
about-children = 由它产生：{ $jobs }
about-when = { $state }；请求于 <t:{ $created }:R>
about-unknown_job = 你没有编号这样开头的任务。/history 列出你的图片，/queue mine 列出还没画完的。
about-why-paused = 管理人员暂停了队列
about-why-no_worker = 没有机器连接
about-why-no_fit = 已连接的机器都画不了这个
about-why-line = 第 { $place } 位
about-why-next = 下一个就是
about-why-running = 正在绘制
about-why-done = （约 { $eta }后完成）
state-queued = 等待中
state-sent = 已交给机器
state-running = 正在绘制
state-rendered = 已画好
state-delivered = 已完成
state-cancelled = 已取消
state-failed = 被拒绝
state-dead = 中断次数过多
mine-none = 你没有在等待或正在绘制的任务。
mine-title = **你还没画完的 { $count } 个任务**
mine-line = `{ $job }` { $prompt }：{ $why }
info-title = **你在这里可以请求的**
info-waiting = 你在等待的任务：{ $waiting } 个，上限 { $limit } 个
info-waiting-unlimited = 你在等待的任务：{ $waiting } 个
info-time = 今天的绘图时间：{ $used } 秒，上限 { $limit } 秒；<t:{ $resets }:R> 重新开始
info-time-unlimited = 今天的绘图时间：{ $used } 秒
info-share = 你的份额：{ $weight }。本服务器有 { $waiting } 个任务在等待，{ $running } 个在机器上。
info-jobs = 你已有图片的请求：{ $count } 个
info-workers = 绘图机器：{ $count } 台，可同时画 { $slots } 个任务
info-models = 模型：{ $models }
info-adapters = LoRA（`--lora`）：{ $names }
info-adapter-words = { $name }（提示词里写“{ $words }”）
info-controls = ControlNet（`--control`，需附图片）：{ $names }
info-embeddings = 可以写进提示词的嵌入：{ $names }
prefer-all =
    {""}**你的偏好**
    每个提示词后面：{ $suffix }
    画风：{ $style }
    多张图片：{ $layout }
    每个请求的张数：{ $count }
    同时私信：{ $direct }
    仅自己可见：{ $private }
    时间较长时提到你：{ $mention }
    语言：{ $language }
prefer-nothing = 无
prefer-yes = 是
prefer-no = 否
album-history = **你的 { $count } 张图**，最新的在前
album-favourites = **你收藏的 { $count } 张图**，最新的在前
album-history-none = 你还没有图片。从 /imagine 开始吧。
album-favourites-none = 你还没有收藏。请按图片下面的爱心。
album-line = { $number }. { $prompt }（`{ $job }`）
album-newer = 较新
album-older = 较旧
help-tour =
    {""}**用文字画图**
    1. 输入 { $imagine } 和图片的内容：`/imagine 一个红苹果`。
    2. 消息会先显示你的位置，然后显示逐渐成形的图片，最后是结果。
    3. 多张图片下面，**U1** 单独显示第一张，**V1** 画出与它相似的图。单张图片下面，可以微调、局部重画、向外延伸、放大、收藏，或做成表情。
    4. 提示词后面的参数可以说得更多：`一个红苹果 --ar 3:2 --no 叶子`。花括号一次请求几样：`一个{"{"}红, 绿{"}"}苹果`。
    5. { $mine } 显示你在等什么，{ $history } 显示你有什么，{ $prefer } 设定你总想要什么。
    你的消息归你：只有你和这里的管理人员能按上面的按钮。
    更多：{ $help } 加上命令、参数或按钮。
help-commands = **命令**
help-menu = 消息的菜单 → 应用 → **{ $name }**
help-flags = **参数**，写在提示词后面
help-syntax = `一个{"{"}红, 绿{"}"}苹果` 两样都要。`cat::2 dog::-0.5` 给各部分加权重。前面放图片链接，就从那张图开始。反斜杠取消符号的含义：`\{"{"}`。
help-buttons = **按钮**
help-reactions = 也可以用反应：✉️ 把图片私信给你，❌ 取消或删除，⭐ 收藏。
help-flag-ratio = 宽高比，例如 3:2，从 1:4 到 4:1
help-flag-seed = 种子和提示词相同，画出的图也相同
help-flag-negative = 不要出现的内容
help-flag-stylize = 贴合提示词的程度：0 到 1000，通常 100
help-flag-chaos = 几张图相差多少，0 到 100
help-flag-quality = 通常步数的倍数，0.25 到 4
help-flag-steps = 去噪步数，1 到 100
help-flag-stop = 画到百分之几时停下，10 到 100
help-flag-tile = 边缘可以拼接
help-flag-image_weight = 保留多少前面的图片，0 到 3
help-flag-fit = 前面的图片如何变成别的形状：crop 裁剪，pad 补边
help-flag-repeat = 同样的请求重复几次
help-flag-style = 画风
help-flag-draft = 快速草稿
help-flag-transparent = 不要背景
help-flag-svg = 每张图片附带一个 SVG
help-flag-raw = 整张一次画成，不逐个摆放
help-flag-model = 由哪个模型画
help-flag-control = 用这个 ControlNet 按你的图片安排位置；`canny` 依据它的边缘
help-flag-sampler = 用哪种采样器画，如 `euler-a` 或 `dpm++-2m-karras`
help-flag-adapters = 微调模型，最多四个
help-flag-count = 一个请求的张数，1 到 4
help-flag-relaxed = 等空闲时再画
help-button-cancel = 停止还没画完的任务
help-button-use = 单独显示一张图
help-button-vary = 画出与它相似的图
help-button-again = 用新的种子再画一次
help-button-remix = 换一个提示词再画
help-button-subtle = 与它非常相似的图
help-button-strong = 与它比较相似的图
help-button-region = 重画其中一部分
help-button-upscale = 放大一倍
help-button-zoom15 = 向四周延伸：四分之一宽的边框
help-button-zoom20 = 向四周延伸：一半宽的边框
help-button-left = 向左延伸
help-button-right = 向右延伸
help-button-up = 向上延伸
help-button-down = 向下延伸
help-button-like = 放进 /favourites；再按一次取出
help-button-info = 种子、参数、来自哪里
help-button-delete = 去掉这条消息
help-button-emoji = 加入服务器的表情
help-button-sticker = 加入服务器的贴纸
help-button-vector = 以 SVG 发送，任意放大不失真
help-button-report = 告诉本服务器的管理员图片有什么问题
album-line-kept = { $number }. { $prompt }（`{ $job }`）：{ $why }
help-button-more = 这张图片还能做什么，只有你能看到
prefer-minutes = 超过 { $count } 分钟
