command-settings = Daguerre 在本伺服器的工作方式
command-settings-view = 檢視本伺服器的設定
command-settings-set = 修改本伺服器的設定
command-settings-set-steps = 預設去噪步數，1 到 50：越多越慢，也越精細
command-settings-set-guidance = 圖片貼合提示詞的程度，1 到 12
command-settings-set-size = 圖片的寬和高，以畫素計
command-settings-set-allow_channel = 在這個頻道允許 /imagine；一旦設了，就只有允許的頻道能用
command-settings-set-remove_channel = 把這個頻道從允許列表中去掉
command-settings-set-all_channels = 清空列表：所有頻道都可以用 /imagine
settings-view =
    {""}**本伺服器的設定**（/imagine 的預設值）
    步數：{ $steps }
    引導強度：{ $guidance }
    尺寸：{ $size }
    頻道：{ $channels }
settings-view-size = { $size } × { $size } 畫素
settings-view-model = 按模型的慣用值（{ $value }）
settings-view-all = **全部設定。** { $mark } 與預設值不同，括號裡是預設值。長列表請用 /settings export 檢視。
settings-saved = 已儲存。{ $view }
settings-all_channels = 全部
settings-nothing = 沒有要修改的內容：請至少給出 steps、guidance、size、allow_channel、remove_channel、all_channels 中的一項。
settings-not_allowed = 只有擁有「管理伺服器」許可權的成員才能檢視或修改這些設定。
settings-server_only = 設定屬於伺服器。請在伺服器裡使用這個命令。
settings-range = 「{ $field }」超出了範圍：{ $allowed }。
settings-range-steps = 步數為 1 到 50
settings-range-guidance = 引導強度為 1 到 12
settings-range-size = 尺寸為 128、256、512、768 或 1024
settings-too_many_channels = 列表最多容納 { $limit } 個頻道。用 all_channels 可以允許所有頻道。
name-settings = 設定
name-view = 檢視
name-set = 修改
name-steps = 步數
name-guidance = 引導強度
name-size = 尺寸
name-allow_channel = 允許頻道
name-remove_channel = 移除頻道
name-all_channels = 所有頻道
