"""Names of drawings that no list of emoji names knows, with the emoji's label they stand for."""

from __future__ import annotations

import re

_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
#: FxEmoji writes Unicode names run together, with changes and misspellings of its own. Its cats are foxes: they stay.
_FIREFOX = """
americasglobe:globe showing americas  asiaaustraliaglobe:globe showing asia-australia
europeafricaglobe:globe showing europe-africa  anguish:anguished face  aok:ok hand  aubergine:eggplant
automatedtellermachine:atm sign  bactriancamel:two-hump camel  banknotedollar:dollar banknote
banknoteeuro:euro banknote  banknotepound:pound banknote  banknoteyen:yen banknote
bellcancellation:bell with slash  blackpushpin:pushpin  blackskullcrossbones:skull and crossbones
blackscissors:scissors  blacktelephone:telephone  blackuniversalrecyclingsymbol:recycling symbol
blackquestionmark:red question mark  bookmarktab:bookmark tabs  bouquetofflowers:bouquet  bowing:person bowing
bride:person with veil  bullhorn:loudspeaker  bullhornwithsoundwaves:loudspeaker  bunny:rabbit face  bunnyside:rabbit
catside:cat  cellphone:mobile phone  chartdownwardstrend:chart decreasing  chartupwardstrend:chart increasing
chartupwardstrendyen:chart increasing with yen  chilipepper:hot pepper  clamshellmobile:mobile phone
closedmailboxlowered:closed mailbox with lowered flag  closedmailboxraised:closed mailbox with raised flag
openmailboxlowered:open mailbox with lowered flag  openmailboxraised:open mailbox with raised flag
confetti:confetti ball  controlknob:control knobs  crying:crying face  curryandrice:curry rice
devilhorns:smiling face with horns  dissapointedrelief:sad but relieved face  dogside:dog  dragonhead:dragon face
dragonside:dragon  earofmaize:ear of corn  electrictorch:flashlight  evergreen:evergreen tree
fallingleaf:fallen leaf  fatherchristmas:santa claus  fishcakeswirl:fish cake with swirl  fistedhand:oncoming fist
flexbicep:flexed biceps  folder:file folder  forkknife:fork and knife
frontfacingchick:front-facing baby chick  frown:frowning face  girlgirl:women holding hands  guyguy:men holding hands
girlguy:woman and man holding hands  grinsquint:grinning squinting face  grinsweat:grinning face with sweat
grintears:face with tears of joy  grinwideeyes:grinning face with big eyes  hampster:hamster
handheldvideocamera:video camera  hands:raising hands  handup:raised hand  headmassage:person getting massage
heartarrow:heart with arrow  heartblue:blue heart  heartgreen:green heart  heartpurple:purple heart
heartribbon:heart with ribbon  heartyellow:yellow heart  heels:high-heeled shoe  housebuilding:house
2hearts:two hearts  highspeedtrainbulletnose:bullet train  hundredpointssymbol:hundred points
japaneseangrymask:goblin  kissclosedeyes:kissing face with closed eyes  leaffluttering:leaf fluttering in wind
leopardside:leopard  lockandkey:locked with key  loudlycrying:loudly crying face  mansshirt:necktie
mensrunner:running shoe  mensshoe:man’s shoe  monkeyhear:hear-no-evil monkey  monkeysee:see-no-evil monkey
monkeyspeak:speak-no-evil monkey  mouseside:mouse  nosmokingsymbol:no smoking  openlock:unlocked
outbox:outbox tray  perservere:persevering face  personalcomputer:laptop  pigside:pig  pigsnout:pig nose
playingcardblackjoker:joker  policecarsrevolvinglight:police car light  present:wrapped gift
recreationalvehicle:sport utility vehicle  reminder:reminder ribbon  ringingbell:bell  sakebottleandcup:sake
saggitarius:sagittarius  sandals:woman’s sandal  screamfear:face screaming in fear  silhouetteohjapan:map of japan
skiandskiboot:skis  sleuthspy:detective  sliceofpizza:pizza  smallfrown:slightly frowning face
smallsmile:slightly smiling face  smileeyes:smiling face with smiling eyes  snowmountains:snow-capped mountain
speakercancellation:muted speaker  rightspeaker3soundwaves:speaker high volume  speechbubble:speech balloon
spurtingwhale:spouting whale  studiomic:studio microphone  stormcloud:cloud with lightning
sunraincloud:sun behind rain cloud  sunsetoverbuildings:sunset  telephonereceiver2:telephone receiver
tennisball:tennis  thoughtbaloon:thought balloon  tie:necktie  tigerside:tiger  tongueout:face with tongue
tongueoutwink:winking face with tongue  toykotower:tokyo tower  turban:person wearing turban
videocasette:videocassette  waningbibbousmoon:waning gibbous moon  warningsign:warning  waving:waving hand
winking:winking face  wiredkeyboard:keyboard  womansshirt:woman’s clothes  whitestar:star  celticcross:latin cross
manltepiececlock:mantelpiece clock  framewithpicture:framed picture  framewithtiles:framed picture
doubleexclaimationmark:double exclamation mark  largeredcircle:red circle  weaponbomb:bomb  printericon:printer
faxicon:fax machine  opticaldisc:optical disk  sunrays:sun  oldpersonalcomputer:desktop computer
fireworksparkler:sparkler  frowningwithmouth:frowning face with open mouth  christmasfather:santa claus
"""
#: Words that say too little of a drawing whose name no emoji has.
_VAGUE = re.compile(
    r"\b(above|anti\w+|arrows?|backhand|below|bubbles?|circled?|clockwise|contact|documents?|eyes?|frame|gesture|index|"
    r"left|lower|mao|mood|multiplication|notes?|on|pages?|phone|pointing|rays?|reverse|right|side|sound|symbol|text|"
    r"upper|wave|waves|white|black)\b|^(high|hands?|frown \w+|grin \w+|smile \w+|tongue \w+.*|kiss \w+)\b"
)
_CLOCK = re.compile(r"^clock(\d+)(oclock|thirty)$")


def alias(name: str, drawing_set: str) -> str | None:
    """The label that a drawing of a set stands for, or None.

    >>> alias("clock3thirty", "firefox")
    'three-thirty'
    """
    if drawing_set != "firefox":
        return None
    if clock := _CLOCK.match(name):
        number = _NUMBERS[int(clock[1]) - 1]
        return f"{number} o’clock" if clock[2] == "oclock" else f"{number}-thirty"
    return dict(pair.split(":") for pair in re.split(r"\s{2,}|\n", _FIREFOX.strip())).get(name)


def vague(caption: str, drawing_set: str) -> bool:
    """Whether words split from a name are too vague for a caption; only FxEmoji has such."""
    return drawing_set == "firefox" and bool(_VAGUE.search(caption))
