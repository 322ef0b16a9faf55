queue-status =
    {""}**本伺服器的任務**
    等待中：{ $waiting }
    機器上：{ $running }
    機器數：{ $workers }
    { $state }
queue-open = 任務正常發放。
queue-paused = 佇列已暫停。
queue-paused-now = 已暫停：本伺服器的任務會等到 /queue resume 為止。正在畫的會畫完。
queue-resumed = 本伺服器的任務繼續進行。
queue-dead-none = 本伺服器沒有畫不成的任務。
queue-dead-title = **沒有畫成的任務**，最新的在前
queue-dead-line = `{ $job }` { $state }，嘗試了 { $attempts } 次，<t:{ $when }:R>
queue-draining =
    { $count ->
        [0] 沒有機器線上。
       *[other] { $count } 臺機器會畫完手上的任務，交還其餘的，然後停止。
    }
queue-drain-shared = 別的伺服器也在使用這些機器，所以這件事要由執行本機器人的人在機器上用「scripts/start queue drain」來做。
queue-drain-unknown = 沒有叫「{ $worker }」的機器線上。不填名字就是全部。
queue-retried = 任務 { $job } 正在重試；進展會顯示在它原來的訊息裡。
queue-cancelled = 任務 { $job } 已取消。
queue-not_dead = 任務 { $job } 並沒有失敗，不需要重試。
queue-unknown_job = 本伺服器沒有編號這樣開頭的任務。用 /queue dead 可以列出失敗的任務。
queue-not_allowed = 只有擁有「管理訊息」許可權的成員才能管理本伺服器的任務。
cancel-not_allowed = 只有提出請求的人，或擁有「管理訊息」許可權的人，才能取消。
cancel-gone = 沒有可以取消的了：這個任務已經結束。
