"""Words that lists of leaked passwords begin with, without case, digits and signs.

Put together by hand for this project, as no such list comes with a library in use. It is short on
purpose: ``passwords.too_common`` looks for these words within a password, so that one line here
stands for all its decorations (P@ssw0rd2024!, dragon123456).
"""

WORDS = frozenset(
    """
    aaaa abc abcd access account action adam adidas admin administrator adobe adrian airplane albert
    alex alexander alexis alice alpha amanda america amigos andrea andrew angel angela animal
    anthony apollo apple apples april arsenal arthur ashley asshole august austin autumn babygirl
    backup badboy bailey banana bandit bank banker barbara barcelona barney baseball basket
    basketball batman bear beautiful beaver benjamin biteme bitcoin blahblah blink blondie blowjob
    blue bond boomer booboo boss boston brandon brandy brian broker bubba buster butter butterfly
    calvin camaro cameron canada captain carlos carmen carolina casper changeme charles charlie
    cheese chelsea chester chicago chicken chocolate chris christian christopher claire cocacola
    coffee compaq computer controller cookie cooper corvette cowboy cowboys crystal daddy dakota
    dallas daniel danielle database david december default demo dennis diablo diamond doctor dollar
    dolphin dolphins donald dragon dragons drowssap eagle eagles edward einstein elephant elizabeth
    eminem emily enter ericsson erotic extreme facebook falcon family fashion ferrari finance
    fishing florida flower flowers football forever forex fortune freddy freedom friend friends
    fuck fucker fuckme fuckoff fuckyou galaxy gandalf garfield gateway gemini genius george gfhjkm
    gibson ginger goblue godzilla gold golden golfer google gordon green guest guitar gunner hammer
    hannah happy hardcore harley hattrick heather hello hermes hockey holiday home hotdog hotmail
    house hunter iceman iloveme iloveyou india internet invest investor ironman isabella jackson
    jaguar james january jasmine jason jasper jennifer jeremy jessica jesus john johnny johnson
    jonathan jordan joseph joshua juventus july june junior justin killer king kingdom kitten
    knight lakers larry lauren legend leo letmein liberty lincoln linkedin liverpool login london
    looking lord louise love lovely loveme lover lovers loveyou lucky madison maggie magic manager
    manchester marina mario marley marlboro martin mary master matrix matthew maverick maxwell
    melissa member mercedes merlin metallica michael michelle mickey microsoft midnight miller
    minecraft miranda mommy money monica monkey monster monday moon morgan mother mountain mustang
    myspace naruto nascar natalie natasha nathan network newyork nicholas nicole nintendo nirvana
    nothing november october office oliver online orange oracle pakistan pass passion passport
    passw password passwords patrick peanut pepper peter phoenix pickle player please pokemon police
    porsche portfolio power prince princess private profit purple pussy qazwsx qazxsw qwer qwert
    qwerty qwertz rabbit rachel raiders rainbow ranger rangers raspberry rebecca red redsox
    richard robert rocket rocky rosebud root running russia sabrina sakura samantha samsung samuel
    sandra saturn scooby scooter scorpion scott secret secure security september sergey server
    service sexy shadow shannon shopping silver simple skippy slipknot smokey snoopy soccer
    socks sophie spider spiderman spring staff stanley starwars startrek steelers stella steven
    stock stocks success summer sunday sunflower sunshine super superman superuser supervisor
    support surfer sydney system tennis teresa test tester testing thomas thunder thursday tiger
    tigger tiger tinker toor toyota trade trader tradebot trading travis trinity trustno truelove
    tucker turtle twitter unknown user username vanessa victor victoria victory viking vincent
    viper voodoo warcraft warrior welcome whatever white william willie wilson windows winner
    winston winter wizard wolf world xavier xxxx yahoo yamaha yankee yankees yellow yourself zaq
    zaqwsx zxcvbn
    """.split()
)
