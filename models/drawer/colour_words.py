"""The eleven basic colour words in 21 languages, as prompts write them.

Where words change their endings, a stem with `*` stands for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: By the word that training says; other languages in one line, the longest first where one begins with another.
SPOKEN: Mapping[str, str] = {
    "red": (
        "red crimson scarlet rot rote rotes roter roten rotem rouge rouges rojo roja rojos rojas vermelho "
        "vermelha vermelhos vermelhas rosso rossa rossi rosse красн* червон* czerwon* rode rood đỏ แดง สีแดง "
        "लाल أحمر حمراء kırmızı merah قرمز 红 红色 红色的 紅 紅色 紅色的 赤 赤い 赤色 빨간 빨간색 빨강 붉은"
    ),
    "orange": (
        "orange orangefarben* orangen* naranja naranjas anaranjad* laranja laranjas arancione arancioni "
        "arancio оранжев* помаранчев* pomarańczow* oranje cam สีส้ม ส้มสี नारंगी برتقالي برتقالية turuncu "
        "jingga oranye نارنجی 橙色 橙色的 橘色 橘色的 オレンジ色 オレンジ色の 주황색 주황"
    ),
    "yellow": (
        "yellow gelb gelbe gelber gelbes gelben gelbem jaune jaunes amarillo amarilla amarillos amarillas "
        "amarelo amarela amarelos amarelas giallo gialla gialli gialle желт* жёлт* жовт* żółt* geel gele vàng "
        "เหลือง สีเหลือง पीला पीली पीले أصفر صفراء sarı kuning زرد 黄 黄色 黄色的 黃 黃色 黃色的 黄色い 노란 "
        "노란색 노랑"
    ),
    "green": (
        "green grün grüne grüner grünes grünen grünem vert verte verts vertes verde verdes verdi зелен* "
        "зелён* zielon* groen groene xanh_lá xanh_lục เขียว สีเขียว हरा हरी हरे أخضر خضراء yeşil hijau سبز 绿 "
        "绿色 绿色的 綠 綠色 綠色的 緑 緑色 緑の 초록 초록색 녹색"
    ),
    "blue": (
        "blue blau blaue blauer blaues blauen blauem bleu bleue bleus bleues azul azules azuis blu azzurr* "
        "син* голуб* блакитн* niebiesk* blauw blauwe xanh_dương xanh_lam xanh น้ำเงิน สีน้ำเงิน สีฟ้า नीला "
        "नीली नीले أزرق زرقاء mavi biru آبی 蓝 蓝色 蓝色的 藍 藍色 藍色的 青 青い 青色 파란 파란색 파랑 푸른"
    ),
    "purple": (
        "purple violet lila violett violette violetter violettes violetten violets morado morada "
        "morados moradas púrpura violeta roxo roxa roxos roxas viola фиолетов* фіолетов* fioletow* paars "
        "paarse tím ม่วง สีม่วง बैंगनी أرجواني بنفسجي بنفسجية mor ungu بنفش 紫 紫色 紫色的 紫の 보라 보라색"
    ),
    "pink": (
        "pink rosa rosafarben* rose roses rosado rosada rosados rosadas розов* рожев* różow* roze hồng ชมพู "
        "สีชมพู गुलाबी وردي وردية زهري pembe صورتی 粉 粉色 粉色的 粉红 粉红色 粉红色的 粉紅色 粉紅色的 ピンク "
        "ピンク色 ピンクの 분홍 분홍색 핑크"
    ),
    "brown": (
        "brown braun braune brauner braunes braunen braunem marron brun brune bruns brunes marrón marrones "
        "café castanho castanha marrom marrons castanh* коричнев* brązow* bruin bruine nâu น้ำตาล สีน้ำตาล "
        "भूरा भूरी भूरे بني بنية kahverengi cokelat coklat قهوه‌ای 棕 棕色 棕色的 褐色 褐色的 咖啡色 茶色 "
        "茶色い 갈색"
    ),
    "black": (
        "black schwarz schwarze schwarzer schwarzes schwarzen schwarzem noir noire noirs noires negro negra "
        "negros negras preto preta pretos pretas nero nera neri nere черн* чёрн* чорн* czarn* zwart zwarte "
        "đen ดำ สีดำ काला काली काले أسود سوداء siyah hitam سیاه مشکی 黑 黑色 黑色的 黒 黒い 黒色 검은 검은색 "
        "검정 까만"
    ),
    "white": (
        "white weiß weiss weiße weißer weißes weißen weißem weisse weisser blanc blanche blancs blanches "
        "blanco blanca blancos blancas branco branca brancos brancas bianco bianca bianchi bianche бел* біл* "
        "biał* wit witte trắng ขาว สีขาว सफेद सफ़ेद أبيض بيضاء beyaz putih سفید 白 白色 白色的 白い 흰 흰색 "
        "하얀 하얀색"
    ),
    "grey": (
        "grey gray grau graue grauer graues grauen grauem gris grise grises cinza cinzento cinzenta cinzentos "
        "grigio grigia grigi grigie сер* сір* szar* grijs grijze xám เทา สีเทา स्लेटी رمادي رمادية gri "
        "abu-abu خاکستری 灰 灰色 灰色的 灰色の 회색"
    ),
}
#: Whole words that begin as a stem does and are no colours.
_OTHERS = "беллетрист белка белки белок белку белочка сердце серия серьги серп середина сироп сирена синица"
_NO_COLOURS = frozenset(_OTHERS.split())


def _table() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    whole: dict[str, str] = {}
    stems: list[tuple[str, str]] = []
    for colour, words in SPOKEN.items():
        for word in words.split():
            plain = word.replace("_", " ")
            if plain.endswith("*"):
                stems.append((plain[:-1], colour))
            else:
                whole.setdefault(plain, colour)
    return whole, tuple(stems)


_WHOLE, _STEMS = _table()
#: Endings of adjectives in Russian, Ukrainian, Polish, Spanish, Portuguese, Italian and German.
_ENDING = re.compile(
    r"(?:ый|ий|ая|яя|ое|ее|ые|ие|ого|его|ому|ему|ым|им|ой|ей|ую|юю|ых|их|ыми|ими|о|а|я|е|і|у|ій|ої|ою|"
    r"y|i|a|e|o|ego|emu|ym|im|ej|ą|ych|ich|ymi|imi|os|as|es|en|er|em)?"
)


def colour_of(word: str) -> str | None:
    """The colour word of training that a word means, or None.

    >>> colour_of("roter"), colour_of("красного"), colour_of("红色的"), colour_of("белка")
    ('red', 'red', 'red', None)
    """
    if word in _WHOLE:
        return _WHOLE[word]
    if word in _NO_COLOURS:
        return None
    return next(
        (colour for stem, colour in _STEMS if word.startswith(stem) and _ENDING.fullmatch(word[len(stem) :])), None
    )


#: Those that are written without spaces around them: cut out of a run of characters.
UNSPACED: Mapping[str, str] = {
    word: colour for word, colour in _WHOLE.items() if re.search("[\u0e00-\u0e7f\u2e80-\u9fff]", word)
}
