queue-status =
    {""}**Jobs of this server**
    Waiting: { $waiting }
    With a worker: { $running }
    Workers: { $workers }
    { $state }
queue-open = Jobs are handed out.
queue-paused = The queue is paused.
queue-paused-now = Paused: this server's jobs wait until /queue resume. What runs is finished.
queue-resumed = This server's jobs go on.
queue-dead-none = No job of this server ended without pictures.
queue-dead-title = **Jobs that ended without pictures**, newest first
queue-dead-line =
    `{ $job }` { $state } after { $attempts ->
        [one] 1 attempt
       *[other] { $attempts } attempts
    }, <t:{ $when }:R>
queue-draining =
    { $count ->
        [0] No worker is connected.
        [one] One worker finishes what it draws, hands back the rest and ends.
       *[other] { $count } workers finish what they draw, hand back the rest and end.
    }
queue-drain-shared = Other servers use these workers too, so the people who run this bot do that, with “scripts/start queue drain” on the machine.
queue-drain-unknown = No connected worker is called “{ $worker }”. Leave the name out to mean all of them.
queue-retried = Job { $job } is tried again; its message says how it goes.
queue-cancelled = Job { $job } is cancelled.
queue-not_dead = Job { $job } did not end without pictures, so there is nothing to try again.
queue-unknown_job = No job of this server has a number that begins so. /queue dead lists those that failed.
queue-not_allowed = Only members with the permission “Manage Messages” may steer this server's jobs.
cancel-not_allowed = Only the member who asked, or someone with “Manage Messages”, may cancel this.
cancel-gone = There is nothing left to cancel: this job has already ended.
