"""What looks like a Latin letter without being one, by kinds of writing. Data; pure.

UTS 39 (confusable-homoglyphs) and Unicode's own names give most look-alikes; here stand the kinds that both leave out,
as people and "fancy text" pages use them. A sign under several letters is read as any of them. In ALWAYS is what
ordinary prompts hold only as disguise, in SOMETIMES the letters and signs of living languages and of decoration, which
are read so in one reading of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ALWAYS = """
# Canadian syllabics
a ᐱᗩᗅᗋᐃᗄ l ᒻᒪᒫᒶ p ᕈᑭᕵᑮᑶ u ᓑᑌᑘᑗᑙᘎᙀ c ᑦᑕᑢᕩᑖ i ᑊᓰᐃᓮ b ᗷᗽᗸᑲᕊᗹ d ᗪᗞᗫᑯᐅᗬ e ᗴᕮᙓᘿᗕᗱᕦ f ᖴᖵ g ᘜᘏᕶ h ᕼᕻᖺᕹᒡ j ᒍᒎᒏᒑ k ᖽᐸᛕ
m ᗰᙏᘻᗶ n ᑎᘉᑏᑐᙁᑊ o ᝪᓍᗝᐤᑫ q ᑫᕴᑬ r ᖇᖆᖈᒥ s ᔕᔖᔆᑀᔢ t ᐪᒾᓕ v ᐯᐺᐻᐁ w ᗯᙎᗻᘺ x ᙭᙮ᕽᕁ y ᖻᎩᔨ z ᘔᙆᗱ
# Cherokee
a ᎪᏗ b ᏏᏴᏰ c ᏟᏣ d ᎠᎴᏛ e ᎬᏋᏒ f ᎦᎨ g ᏀᎶᏳᏩ h ᎻᏂᏲ i ᎥᏆᎢ j ᎫᏠ k ᏦᏥ l ᏞᏝᎱ m ᎷᎺ n ᏁᏐᏕ o ᎤᎾᏫᎧ p ᏢᎮᏝ q ᎤᏅᏄ r ᎡᏒᏓ
s ᏚᏕᎦ t ᎢᏖᎿ u ᏬᏌᏓ v ᏙᏉᏤ w ᎳᏔᏇ x ᎲᏡ y ᎽᎩᎹ z ᏃᏍ
# Phonetic and African letters
o ɑɒðơɵɸøØƟʘɷɔᴓ p ᴩƥþρᵽƿ q ɥʠɋϙ v Ɐʋʌѵᴠ b ᵷʙɓƅƄþÞ i ǃꞋꜞꜟɩɨıƖᴉʅɪ l ꟾɭɫɬʟʅƪɮ t ɬƚʈƭʇŧƫȶ a ɑɐɒʌæᴂ c ɕƈɔ d ɖɗƌðÐ
e ɛəɘɜɞɝǝӘƏƐʚ f ʄƒʃ g ɠɡɢɣʛǥƣ h ɦɥʜɧħ j ʝɟʄɉǰ k ʞƙᴋĸ m ɱɯɰʍ n ŋɳɲƞɴƝŊη r ɾɿɹɽʀɼɍʁɻ s ʂʃƨȿſƧ u ʊʋɥųƱᵾʉɯ
w ɯʍɰωᴡƿ x χӿᶍ y ʎɣƴʏɤɏ z ʑʐʒƶȥɀƹ
# Currency
f £₣ƒ a ₳ b ฿₿ c ₡₢₵¢ d ₫₯Đ e €Ɇ g ₲ i ₤£ k ₭ l ₤₺£Ⱡ m ₥₼ n ₦₪ o ¤Ø p ₱₽₧ r ₹₨Ɽ s ₴ t ₮₸₺₾ w ₩₪ y ¥￥
# Mathematics and letter-like signs
v ∀√∨⋁∇℣⌄ a ∀∆ᗄ⍺⩜ b ♭ c ⊂∁⊆ℂ d ∂⊃ⅾ⊐⊇ e ∃∈∑ℯ℮⋲є∊ f ∮ƒℱ g ⅁ h ℏ⋕ℎ i ∣ⅰ⎮ j ⌡ k κ l ⎿∟ℓ⌊ m ⅿℳ₥ n ∩∏⋂⊓ℿ
o ∘○⊙⊕⊗∅⌀⊚⊛⊖⊘◯ p ℘⍴ q ℺ r ℜℛ s ∫§∽ƽ t †⊥⊤☩‡⟙ u ∪⋃⊔⊍∐ w ⨈Ѡ₩ x ×⨉⨯⤫ⅹ✗ y γ⅄ z ℤℨ
# Cyrillic, beyond what is read for Russian
c єҫԍсҁ h ꚕԋһҺңҥӉԨђ o ꙨꙩфԾѳѲӦөӨѺ t ꚌГЃтҭԏ b бҍѢѣьъ d ↁԁԃԂժҕ a ӑӓѦѧ e єҽҿӗӭѐёӬ f ғӺԒ g ԍҁ i ӏії j ј k қҝҟҡԟӄ
l ԼԈԉӏ m ӎԡ n ӣӥпԥҋиӢ p рҏԥ q ԛҩԚ r ѓґԻғ s ѕԑ u ӵџҵцԱ v ѵѷ w шѡщԝѾѿ x хҳӿӽӂ y ӱӯўҷүұӲҮ z ҙӠӡԐ
# Greek and Coptic
c ͼϵϲςⲥ y υγψλⲩ w ῳωώϖⲱ a αάὰⲁϥ b βϐⲃ d δⲇ e εέϵⲉξ∑ f ϝ g ϑ h ⲏђ i ιίϊⲓ j ϳ k κϰⲕ l ⲗ m μⲙϻ n ηήνⲛ o οσόδθφⲟ
p ρϼⲣ q ϙϥ r Γг s ςϛⳝ t τⲧ u υύϋμⲩ v νⲩ x χⲭж z ζⲍ
# Runes
a ᚨᛅᚪ b ᛒ c ᚲᛈ d ᛞ e ᛖᛊ f ᚠ g ᚷ h ᚺᚻᚾ i ᛁ j ᛃᛇ k ᚲᚴᛕ l ᛚᛐ m ᛗᛖ n ᚾᚺᛀ o ᛟᚩ p ᛈᚹᛔ q ᚹ r ᚱ s ᛊᛋ t ᛏᛠ u ᚢᚣ v ᚢ
w ᚹᛠ x ᚷᛪ y ᛉᚤ z ᛉᛎ
# Yi, Lisu, Tifinagh
a ꓥⴷꍏꓮ v ꓯꃴꏝꓦⴸ e ⵟⵎꍟꏂꓰ i ⵑⵊꀤꂑꓲ c ⵛꉓꏳꓚ b ꌃꓐ d ꓓꀸꁕ f ꎇꓝ g ꁅꍌꓖ h ꃅꀍꓧ j ꀭꀰꓙ k ꀘꈵꓗ l ꒒ꅤꓡⵏ
m ꂵꎭꓟ n ꈤꋊꓠⵍ o ꂦꄲꓳⵔⵙ p ꉣꇙꓑ q ꆰꁸ r ꋪꌅꓣⵇ s ꌗꌚꓢ t ꓄꓅ꓔⵜ u ꀎꌇꓴⵡ w ꅏꅐꓪ x ꊼꉧꓫⵝ y ꌩꐟꓬⵖ
z ꁴꑒꓜⵣ
"""
_SOMETIMES = """
# Han
a 卂丹闩亼人 b 乃日阝 c 匚亡仁 d 刀ᗪ勹 e 乇彐三ヨモ巨乡 f 千下乍 g 厶呂 h 卄廾サ升卅井 i 丨工エ卜亅
j 丿亅ﾌ了 k 长片 l 乚し乙レ匸 m 爪冊巾从 n 几冂九刀门 o 口囗〇ロ回日 p 卩户尸 q 卩甲ゐ r 尺厂民 s 丂弓巳己ち
t 丅七十干亍丁匕 u 凵山ㄩ囗 v レ丷 w 山屮乂 x 乂メ义㐅 y 丫ㄚ卜 z 乙之ㄗ己
# Bopomofo and kana
a ㄙムあ b ㄖ c ㄈ匚ㄷく d ㄉ e ㄜョㅌヨモミ f キｷチ g ん h んㅐㅂㄏサ廾 i ㄧノ丨エㅣー j フ亅 k ズㄑス
l ㄥレㄴしム m ㄇカ冊ㅆ n ㄇ几刀んハ o ㄖのㅁㅇロ口 p アㄗ q ゐ r 尺ㄕㄬア s ㄎ丂ㄹち t ㄒイテヒナ匕
u ㄩひㅛ凵 v ㄨ√✓ w ㄩ山ㅃ x ㄨメ乂 y ㄚリソㅅン z ㄗ乙ㄹてろ
# Thai and Lao
r ཞร a คล b ๒ c ς d ๔ດ f Ŧ h ђ i เโ l เ m ๓ n ภก o ๏๐໐ q ợ s ร u ยบน v ש w ฬพผ y ץฯ
# Hebrew and Arabic
a א i וا١۱ j נלل l ןו n תח o סםه٥ە p ק r ר t דт u טں v ע۷٧ w שسﺵ x א y עצץ e ٤ع g ﻮو
# Georgian and Armenian
g Ⴚցɠ b ცႦხբΒ c ႺႠ d ძժ h հիխკႹ i ɿ j յʝ l լ m ო n ոռղմ o օჿ p ρ q զգ r րՐɾ s Տჽ t ʈե u սՍს v ν w աა x ჯ
y ყՎվ z ȥՀჳ a ა e ჳեჰ f ֆჶ
# Germany's own
b ß
# Ethiopic
c ፈር x ጀሸ z ፚጊ a ልጎ b ጌ d ዕ e ቿቹ f ቻ g ኗ h ዘከ i ጎ j ጋ k ጕ l ረ m ጠ n ክከ o ዐ p የ q ዒ r ዪ s ነ t ፕፐ u ሁ v ሀ w ሠ
y ሃ
# Braille
a ⠁ b ⠃ c ⠉ d ⠙ e ⠑ f ⠋ g ⠛ h ⠓ i ⠊ j ⠚ k ⠅ l ⠇ m ⠍ n ⠝ o ⠕ p ⠏ q ⠟ r ⠗ s ⠎ t ⠞ u ⠥ v ⠧ w ⠺ x ⠭ y ⠽ z ⠵
"""
#: Signs that decorate a text, or stand for a letter of a word: read in both ways.
_SIGNS = """
i ┃┇╏╵╷▎❙⎜⎟⎢⎪▏▕❘ߊ❗❕ℹ t ┬ߠ✝✞✟✚☦➕†‡™⛨ a ▲△▴▵🔺◬⟁ c ©☪⊂🌙🌜 d ▷◗ e ☰≡⋿ h ♓ l └ m ♏ n ♑
o ⭕◯○●◉◎⚪⚫🔴🔵🟠🟡🟢🟣🟤◌☉⚽🏀⚾☯⊙©⦿✪🌕🌑🌍🌎🌏💿🍩🎯☢ p ¶℗ r ® s §💲⚡ u ⛎ v ▼▽▾▿🔻✓✔☑⋎ w ♆
x ✕✖✗✘❌❎☓╳⨯☒⤬✠ y ⑂ z ⚡☡
"""


def _table(block: str) -> Mapping[str, str]:
    """Each sign with the letters that it may be."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        letter = ""
        for part in line.split():
            if len(part) == 1 and part.isascii() and part.isalpha():
                letter = part.lower()
            else:
                for sign in part:
                    if not sign.isascii() and letter not in found.get(sign, ""):
                        found[sign] = found.get(sign, "") + letter
    return MappingProxyType(found)


ALWAYS, SOMETIMES, SIGNS = _table(_ALWAYS), _table(_SOMETIMES), _table(_SIGNS)

_DRAWN = r"""
a /\ /-\ /_\ (L
b |o |3 |8 ]3
d |) |> |] [) |}
e [- |- <- |:-
f |= /=
h |-| ]-[ )-( }-{ |~| |#| /-/
j _| _/
k |< |{
l |_ [_
m |\/| /\/\ |v| |V| /V\ (V) ^^ |^^|
n |\| |/| /\/ ]\[ <\> {\} /V
o () [] <> {} (_) [_]
p |* |° |^ |D |>
q (,)
r |2 |? |~ /2
t -|- '][' ~|~
u |_| (_) \_/ [_] {_} L|
v \/
w \/\/ \^/ \X/ \|/ \_|_/ |/\|
x >< )( }{
y `/ '/
z >_ -/_ ~/_
"""


def _drawn() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for letter, *signs in map(str.split, _DRAWN.strip().splitlines()):
        for sign in signs:
            found[sign] = found.get(sign, "") + letter
    return MappingProxyType(dict(sorted(found.items(), key=lambda pair: -len(pair[0]))))


#: Letters drawn with several signs, the longest first, each with the letters that it may be.
DRAWN: Mapping[str, str] = _drawn()
#: A letter and what it looks like when the page is turned round; a text so written is read from its end.
TURNED: Mapping[str, str] = MappingProxyType(
    dict(
        zip(
            "ɐqɔpǝɟƃɓɥᴉıɾʞlʃɯuodbɹsʇnʌʍxʎz" + "∀ƆƎℲ⅁HſWNԀΌS┴∩ΛMX⅄Z",
            "abcdefgghiijkllmnopqrstuvwxyz" + "aceFghjmnpqstuvwxyz".lower(),
            strict=True,
        )
    )
)
#: Letters that only a turned text has; without one it is not read so.
TURNED_ONLY = frozenset("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎƎℲ⅄┴Ԁ")
#: Signs that are a whole word.
WORDS: Mapping[str, str] = MappingProxyType(dict.fromkeys("卐卍࿕࿖࿗࿘", "swastika") | {"🖕": "middle finger"})
#: What is written together with a word and leaves it what it is: `seminude`.
PREFIXES = (
    "semi half full fully total totally complete completely ultra super hyper pseudo quasi neo mini extra very all"
)
