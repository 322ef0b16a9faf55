about-title = **任務** `{ $job }`
about-model = 模型：{ $model }
about-parent = 來自 `{ $parent }` 的第 { $picture } 張圖，操作為「{ $action }」
about-children = 由它產生：{ $jobs }
about-when = { $state }；請求於 <t:{ $created }:R>
about-unknown_job = 你沒有編號這樣開頭的任務。/history 列出你的圖片，/queue mine 列出還沒畫完的。
about-why-paused = 管理人員暫停了佇列
about-why-no_worker = 沒有機器連線
about-why-no_fit = 已連線的機器都畫不了這個
about-why-line = 第 { $place } 位
about-why-next = 下一個就是
about-why-running = 正在繪製
about-why-done = （約 { $eta }後完成）
state-queued = 等待中
state-sent = 已交給機器
state-running = 正在繪製
state-rendered = 已畫好
state-delivered = 已完成
state-cancelled = 已取消
state-failed = 被拒絕
state-dead = 中斷次數過多
mine-none = 你沒有在等待或正在繪製的任務。
mine-title = **你還沒畫完的 { $count } 個任務**
mine-line = `{ $job }` { $prompt }：{ $why }
info-title = **你在這裡可以請求的**
info-waiting = 你在等待的任務：{ $waiting } 個，上限 { $limit } 個
info-waiting-unlimited = 你在等待的任務：{ $waiting } 個
info-time = 今天的繪圖時間：{ $used } 秒，上限 { $limit } 秒；<t:{ $resets }:R> 重新開始
info-time-unlimited = 今天的繪圖時間：{ $used } 秒
info-share = 你的份額：{ $weight }。本伺服器有 { $waiting } 個任務在等待，{ $running } 個在機器上。
info-jobs = 你已有圖片的請求：{ $count } 個
info-workers = 繪圖機器：{ $count } 臺，可同時畫 { $slots } 個任務
info-models = 模型：{ $models }
info-adapters = LoRA（`--lora`）：{ $names }
info-adapter-words = { $name }（提示詞裡寫「{ $words }」）
info-controls = ControlNet（`--control`，需附圖片）：{ $names }
info-embeddings = 可以寫進提示詞的嵌入：{ $names }
prefer-all =
    {""}**你的偏好**
    每個提示詞後面：{ $suffix }
    畫風：{ $style }
    多張圖片：{ $layout }
    每個請求的張數：{ $count }
    同時私訊：{ $direct }
    僅自己可見：{ $private }
    時間較長時提到你：{ $mention }
    語言：{ $language }
prefer-nothing = 無
prefer-yes = 是
prefer-no = 否
album-history = **你的 { $count } 張圖**，最新的在前
album-favourites = **你收藏的 { $count } 張圖**，最新的在前
album-history-none = 你還沒有圖片。從 /imagine 開始吧。
album-favourites-none = 你還沒有收藏。請按圖片下面的愛心。
album-line = { $number }. { $prompt }（`{ $job }`）
album-newer = 較新
album-older = 較舊
help-tour =
    {""}**用文字畫圖**
    1. 輸入 { $imagine } 和圖片的內容：`/imagine 一個紅蘋果`。
    2. 訊息會先顯示你的位置，然後顯示逐漸成形的圖片，最後是結果。
    3. 多張圖片下面，**U1** 單獨顯示第一張，**V1** 畫出與它相似的圖。單張圖片下面，可以微調、局部重畫、向外延伸、放大、收藏，或做成表情。
    4. 提示詞後面的參數可以說得更多：`一個紅蘋果 --ar 3:2 --no 葉子`。大括號一次請求幾樣：`一個{"{"}紅, 綠{"}"}蘋果`。
    5. { $mine } 顯示你在等什麼，{ $history } 顯示你有什麼，{ $prefer } 設定你總想要什麼。
    你的訊息歸你：只有你和這裡的管理人員能按上面的按鈕。
    更多：{ $help } 加上命令、參數或按鈕。
help-commands = **命令**
help-menu = 訊息的選單 → 應用 → **{ $name }**
help-flags = **參數**，寫在提示詞後面
help-syntax = `一個{"{"}紅, 綠{"}"}蘋果` 兩樣都要。`cat::2 dog::-0.5` 給各部分加權重。前面放圖片連結，就從那張圖開始。反斜槓取消符號的含義：`\{"{"}`。
help-buttons = **按鈕**
help-reactions = 也可以用反應：✉️ 把圖片私訊給你，❌ 取消或刪除，⭐ 收藏。
help-flag-ratio = 寬高比，例如 3:2，從 1:4 到 4:1
help-flag-seed = 種子和提示詞相同，畫出的圖也相同
help-flag-negative = 不要出現的內容
help-flag-stylize = 貼合提示詞的程度：0 到 1000，通常 100
help-flag-chaos = 幾張圖相差多少，0 到 100
help-flag-quality = 通常步數的倍數，0.25 到 4
help-flag-steps = 去噪步數，1 到 100
help-flag-stop = 畫到百分之幾時停下，10 到 100
help-flag-tile = 邊緣可以拼接
help-flag-image_weight = 保留多少前面的圖片，0 到 3
help-flag-fit = 前面的圖片如何變成別的形狀：crop 裁剪，pad 補邊
help-flag-repeat = 同樣的請求重複幾次
help-flag-style = 畫風
help-flag-draft = 快速草稿
help-flag-transparent = 不要背景
help-flag-svg = 每張圖片附帶一個 SVG
help-flag-raw = 整張一次畫成，不逐個擺放
help-flag-model = 由哪個模型畫
help-flag-control = 用這個 ControlNet 按你的圖片安排位置；`canny` 依據它的邊緣
help-flag-sampler = 用哪種取樣器畫，如 `euler-a` 或 `dpm++-2m-karras`
help-flag-adapters = 微調模型，最多四個
help-flag-count = 一個請求的張數，1 到 4
help-flag-relaxed = 等空閒時再畫
help-button-cancel = 停止還沒畫完的任務
help-button-use = 單獨顯示一張圖
help-button-vary = 畫出與它相似的圖
help-button-again = 用新的種子再畫一次
help-button-remix = 換一個提示詞再畫
help-button-subtle = 與它非常相似的圖
help-button-strong = 與它比較相似的圖
help-button-region = 重畫其中一部分
help-button-upscale = 放大一倍
help-button-zoom15 = 向四周延伸：四分之一寬的邊框
help-button-zoom20 = 向四周延伸：一半寬的邊框
help-button-left = 向左延伸
help-button-right = 向右延伸
help-button-up = 向上延伸
help-button-down = 向下延伸
help-button-like = 放進 /favourites；再按一次取出
help-button-info = 種子、參數、來自哪裡
help-button-delete = 去掉這條訊息
help-button-emoji = 加入伺服器的表情
help-button-sticker = 加入伺服器的貼紙
help-button-vector = 以 SVG 傳送，任意放大不失真
help-button-report = 告訴本伺服器的管理員圖片有什麼問題
album-line-kept = { $number }. { $prompt }（`{ $job }`）：{ $why }
help-button-more = 這張圖片還能做什麼，只有你能看到
prefer-minutes = 超過 { $count } 分鐘
