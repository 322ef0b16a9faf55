queue-status =
    {""}**本服务器的任务**
    等待中：{ $waiting }
    机器上：{ $running }
    机器数：{ $workers }
    { $state }
queue-open = 任务正常发放。
queue-paused = 队列已暂停。
queue-paused-now = 已暂停：本服务器的任务会等到 /queue resume 为止。正在画的会画完。
queue-resumed = 本服务器的任务继续进行。
queue-dead-none = 本服务器没有画不成的任务。
queue-dead-title = **没有画成的任务**，最新的在前
queue-dead-line = `{ $job }` { $state }，尝试了 { $attempts } 次，<t:{ $when }:R>
queue-draining =
    { $count ->
        [0] 没有机器在线。
       *[other] { $count } 台机器会画完手上的任务，交还其余的，然后停止。
    }
queue-drain-shared = 别的服务器也在使用这些机器，所以这件事要由运行本机器人的人在机器上用“scripts/start queue drain”来做。
queue-drain-unknown = 没有叫“{ $worker }”的机器在线。不填名字就是全部。
queue-retried = 任务 { $job } 正在重试；进展会显示在它原来的消息里。
queue-cancelled = 任务 { $job } 已取消。
queue-not_dead = 任务 { $job } 并没有失败，不需要重试。
queue-unknown_job = 本服务器没有编号这样开头的任务。用 /queue dead 可以列出失败的任务。
queue-not_allowed = 只有拥有“管理消息”权限的成员才能管理本服务器的任务。
cancel-not_allowed = 只有提出请求的人，或拥有“管理消息”权限的人，才能取消。
cancel-gone = 没有可以取消的了：这个任务已经结束。
