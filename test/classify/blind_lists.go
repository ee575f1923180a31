package classify

// Source lists of the blind set, apart from those of the other two.

var blindLocales = map[string]locale{
	"us": {
		w("Ashby Blaine Corrine Dashiell Elodie Fletcher Genevieve Holden Imogene Jericho Kaia Lachlan Maribel Nolan Odessa Presley Quincy Remy Shelby Tatum Unity Vaughn Willa Zander"),
		w("Abernathy Bickford Cadwell Dunleavy Escobedo Farnsworth Gilchrist Haverford Iverson Kilpatrick Langley Musgrove Nesbitt Oglesby Prescott Rasmussen Stockdale Thibodeaux Underhill Vandyke Winthrop Yarbrough"),
		l("Bozeman|Cedar Rapids|Duluth|Enid|Fargo|Gulfport|Hattiesburg|Joplin|Kennewick|Lima|Muncie|Ocala|Pueblo|Racine|Scranton|Tupelo|Waco|Yuma"),
		l("Sycamore St|Laurel Ave|N Franklin St|Pine Ridge Rd|Cherry Ln|Meadow Ct|SE Holgate Blvd|County Road 12|Sunset Dr|Orchard Pl"),
		w("IA ND MS WA OH IN FL TX PA AZ"), l("Paralegal|Electrician|Registered Nurse|Truck Driver|Bookkeeper|Barista|Civil Engineer|Home Health Aide|Dental Hygienist"), "ddddd", "(NNd) NNd-dddd", "n s", "com",
	},
	"uk": {
		w("Alistair Blodwen Cedric Delyth Fergus Gwendolen Hamish Isla Lachlan Mabli Niamh Oswin Phyllida Rhiannon Sorcha Tristram Winsome Zachary"),
		w("Arkwright Braithwaite Clutterbuck Drinkwater Entwistle Featherstone Grimshaw Hebblethwaite Ibbotson Kershaw Longbottom Murgatroyd Oldroyd Pilkington Ramsbottom Sowerby Thistlethwaite Wigglesworth"),
		l("Accrington|Berwick|Congleton|Dorking|Evesham|Frome|Grantham|Helston|Keighley|Leominster|Morpeth|Nuneaton"),
		l("Victoria Road|Mill Lane|Orchard Close|Church Walk|High Street|Sandringham Avenue|Canal Terrace"), l("Devon|Fife|Powys|Kent|Norfolk"), l("Electrician|Carer|Scaffolder|Receptionist|Paramedic"), "AAd dAA", "07ddd dddddd", "n s", "co.uk",
	},
	"ie": {
		w("Aoife Blathnaid Cormac Dearbhla Eoghan Fiadh Grainne Iarla Kealan Lorcan Maeve Naoise Orlaith Padraic Roisin Senan Tadhg Una"),
		l("Brennan|Cassidy|Donnellan|Fahey|Geraghty|Hanrahan|Kinsella|Lonergan|MacNamara|Ni Bhriain|O'Dwyer|O'Shaughnessy|Prendergast|Quigley|Rafferty|Scully|Tierney"),
		l("Athlone|Ballina|Clonmel|Drogheda|Ennis|Fermoy|Gorey|Kinsale|Letterkenny|Mullingar|Navan|Tralee"),
		l("Patrick Street|Abbey Court|The Crescent|Bridge Street|Shannon Park|Castle View"), l("Kerry|Sligo|Meath|Wexford"), l("Farmer|Nurse|Software Engineer|Teacher|Chef"), "AddAddd", "+353 8d ddd dddd", "n s", "ie",
	},
	"at": {
		w("Alois Brunhilde Cölestin Dietlinde Ehrentraud Ferdinand Gotthard Heidemarie Ignaz Kreszenz Lorenz Margarethe Notburga Ottokar Philomena Rupert Severin Traudl Vinzenz Walpurga"),
		w("Aigner Brandstätter Czerny Dürnberger Ebner Fuchshuber Gruber Hinterseer Innerhofer Kirchschlager Leitgeb Moosbrugger Nussbaumer Obermayr Pichler Rainer Schwarzenbacher Tschugguel Unterweger Wallner Zangerl"),
		l("Amstetten|Bludenz|Dornbirn|Eisenstadt|Feldkirch|Gmunden|Hallein|Judenburg|Krems|Leoben|Mistelbach|Ried im Innkreis|Steyr|Tulln|Villach|Wels"),
		l("Lindengasse|Mariahilfer Straße|Am Kirchplatz|Bergweg|Schulgasse|Untere Hauptstraße|Mühlbachgasse"), l("Tirol|Kärnten|Burgenland|Vorarlberg"), l("Tischler|Buchhalterin|Kellner|Krankenpfleger|Elektriker"), "dddd", "+43 664 ddddddd", "s n", "at",
	},
	"ch": {
		w("Annelies Beat Corsin Dorli Ernst Flurina Gian-Luca Hanspeter Idda Jürg Käthi Läzi Mirta Nicolo Orsola Reto Seraina Urs Vreni Zita"),
		w("Aebischer Bächtold Caduff Däppen Eggimann Frischknecht Gantenbein Hürlimann Imboden Jenny Kälin Lüscher Müri Niederberger Oberholzer Rüegg Stadelmann Tschudi Vögtlin Wyss Zgraggen"),
		l("Aarau|Burgdorf|Chur|Davos|Frauenfeld|Glarus|Herisau|Lenzburg|Olten|Rapperswil|Sursee|Uster|Wil|Zofingen"),
		l("Seestrasse|Dorfstrasse|Im Rebacker|Obere Gasse|Bahnhofplatz|Rütiweg"), l("Aargau|Thurgau|Uri|Zug"), l("Chauffeur|Lagerist|Pflegefachfrau"), "dddd", "+41 79 ddd dd dd", "s n", "ch",
	},
	"be": {
		w("Aurélie Benoît Clothilde Dieudonné Eugénie Fabrice Ghislaine Hippolyte Isaline Jean-Luc Lucienne Marcelin Nathanaël Odile Philibert Romane Solange Thibaut Wivine Yannick"),
		w("Anciaux Bodart Collignon Delvaux Everaerts Francotte Goffinet Hanotte Jadot Lambiotte Mottet Noirhomme Orban Piette Rensonnet Servais Thiry Vandenbroucke Wauters"),
		l("Arlon|Bastogne|Ciney|Dinant|Eupen|Fleurus|Gembloux|Huy|Jodoigne|Marche-en-Famenne|Nivelles|Seraing|Verviers|Wavre"),
		l("rue du Moulin|avenue des Combattants|chaussée de Namur|place Communale|rue de l'Église|clos des Érables"), l("Hainaut|Namur|Liège"), l("Infirmier|Attaché|Secrétaire|Comptable|Ouvrier"), "dddd", "+32 47d dd dd dd", "s, n", "be",
	},
	"fl": {
		w("Annelore Bavo Cyriel Dorien Evarist Fien Godelieve Hilde Jef Katrien Lieselot Machteld Nele Pieterjan Ruben Stijn Tinne Wannes"),
		l("Aerts|Bogaerts|Claessens|De Backer|Engelen|Goossens|Hermans|Lauwers|Mertens|Nys|Peeters|Quintens|Segers|Van Damme|Verhaegen|Willems"),
		l("Aalst|Boom|Diksmuide|Eeklo|Geel|Herentals|Kortrijk|Lokeren|Mol|Ninove|Roeselare|Tongeren"),
		l("Kerkstraat|Veldlaan|Molenstraat|Groenplein|Stationsstraat"), l("Limburg|Antwerpen"), l("Bakker|Leerkracht"), "dddd", "04dd dd dd dd", "s n", "be",
	},
	"cz": {
		w("Bořivoj Drahomíra Evžen Hedvika Jaromír Květoslava Lubomír Miluše Oldřich Radmila Slavomír Vlastimila Zbyněk Božena Ctibor Dobromila"),
		w("Bartoníček Čapková Doležal Fiala Hrubešová Jelínek Kopecký Lhoták Mrázková Navrátil Procházková Růžička Šimůnek Tichý Vaňková Zelenka Kučerová Havránek"),
		l("Beroun|Cheb|Děčín|Jihlava|Kladno|Louny|Mělník|Opava|Písek|Sokolov|Tábor|Znojmo"),
		l("Nádražní|Husova|U Lesa|Palackého|Na Kopci|Dlouhá"), l("Vysočina|Jihočeský"), l("Zedník|Učitelka"), "ddd dd", "+420 6dd ddd ddd", "s n", "cz",
	},
	"hu": {
		w("Árpád Boglárka Csongor Dorottya Endre Fruzsina Gergő Hajnalka Jolán Kálmán Levente Márton Nándor Piroska Rozália Szabolcs Tünde Zsuzsanna"),
		w("Antalffy Bognár Csizmadia Dömötör Erdélyi Fekete Gulyás Halász Kelemen Lengyel Mészáros Nyíri Orosz Pintér Rácz Somogyi Takács Vörös Zentai"),
		l("Ajka|Baja|Cegléd|Dunaújváros|Eger|Gyula|Hódmezővásárhely|Kaposvár|Makó|Pápa|Siófok|Vác"),
		l("Petőfi utca|Kossuth Lajos utca|Rákóczi út|Fő tér|Ady Endre utca"), l("Zala|Heves"), l("Tanár|Orvos"), "dddd", "+36 30 ddd dddd", "s n", "hu",
	},
	"rm": {
		w("Anghel Brândușa Costel Dorina Emilian Floarea Gheorghița Horațiu Ilinca Luminița Mircea Nicoleta Octavian Petruța Rodica Sorin Traian Viorica"),
		w("Apostol Bălan Cojocaru Dumitrescu Enache Filipescu Grigore Hanganu Iliescu Lupu Manolache Negoiță Oprea Pârvu Rotaru Stănescu Toma Ungureanu Vasilescu"),
		l("Alexandria|Bacău|Călărași|Deva|Focșani|Giurgiu|Hunedoara|Iași|Lugoj|Mediaș|Oradea|Reșița|Slatina|Tulcea"),
		l("Str. Libertății|Bd. Unirii|Str. Mihai Eminescu|Aleea Rozelor|Calea Victoriei"), l("Cluj|Timiș|Bihor|Dolj"), l("Inginer|Contabil|Vânzător|Șofer|Asistent medical"), "dddddd", "07dd ddd ddd", "s n", "ro",
	},
	"tk": {
		w("Asuman Baturalp Cemile Doğukan Elvan Fikret Gülizar Haldun İpek Kadriye Latife Mümtaz Nihan Orhan Pervin Rıfat Semiha Taylan Ufuk Yonca"),
		w("Akbulut Başaran Çetinkaya Dinçer Ergüven Gürsoy Hacıoğlu Işık Kılıçarslan Okumuş Öztürk Peker Saraçoğlu Tekin Ulusoy Üstün Yalçınkaya Zorlu"),
		l("Adıyaman|Bitlis|Çanakkale|Erzincan|Gölcük|Iğdır|Karaman|Mardin|Ödemiş|Polatlı|Siirt|Tarsus"),
		l("Cumhuriyet Cad.|Fatih Sok.|İstiklal Mah. 5. Sk.|Zafer Bulvarı|Gazi Cad."), l("Muğla|Hatay"), l("Muhasebeci|Teknisyen|Müdür|Hemşire|Güvenlik Görevlisi"), "ddddd", "05dd ddd dd dd", "s n", "com.tr",
	},
	"ar": {
		w("Abelardo Brígida Calixto Delfina Evaristo Fausto Genoveva Hilario Isidora Laureano Maricel Nélida Osvaldo Perla Ramiro Silvina Teófilo Yanina"),
		w("Aristizábal Benavídez Caputto Dellavalle Etcheverry Frattini Giménez Herrera Iturralde Ledesma Migliore Ocampos Pizzorno Quinteros Rapetti Sosa Taboada Urquiza Villalba Zapiola"),
		l("Bahía Blanca|Comodoro Rivadavia|Gualeguaychú|Junín|La Rioja|Neuquén|Posadas|Rafaela|San Rafael|Tandil|Ushuaia|Zárate"),
		l("Av. Rivadavia|Belgrano|San Martín|Bv. Oroño|Calle 47|Hipólito Yrigoyen"), l("Chubut|Salta|Mendoza|Entre Ríos"), l("Contador|Docente"), "Adddd", "+54 9 11 dddd-dddd", "s n", "com.ar",
	},
	"co": {
		w("Alirio Betsabé Carmenza Dagoberto Eliécer Fanny Gildardo Heriberto Inírida Jairo Leidy Maryluz Nubia Ofelia Rigoberto Sandra Uriel Yesenia"),
		w("Agudelo Betancur Cárdenas Duarte Echeverri Fonseca Gaviria Hurtado Jaimes Londoño Marulanda Nieto Ospina Pulido Quintana Restrepo Saldarriaga Tobón Uribe Zuluaga"),
		l("Armenia|Buenaventura|Cartago|Duitama|Florencia|Girardot|Ipiales|Montería|Neiva|Palmira|Riohacha|Sincelejo|Tunja|Yopal"),
		l("Carrera 15 # 80-|Calle 100 No. 9-|Diagonal 22 # 4-|Transversal 3 No. 12-|Av. Boyacá # 60-"), l("Antioquia|Huila|Nariño|Cesar"), l("Vendedor"), "dddddd", "+57 3dd ddd dddd", "s n", "com.co",
	},
	"mx": {
		w("Anselmo Bertha Conrado Dionisia Efraín Florentina Guadalupe Herlinda Jacobo Lázaro Micaela Nazario Obed Petra Rutilio Socorro Tiburcio Zenaida"),
		w("Arreola Bustamante Cervantes Delgadillo Esparza Fierro Galindo Huerta Jasso Luévano Mireles Nevárez Olguín Partida Ramírez Solís Tejeda Villaseñor Zamudio"),
		l("Celaya|Durango|Fresnillo|Irapuato|Los Mochis|Matamoros|Nogales|Orizaba|Tehuacán|Uruapan|Xalapa"),
		l("Av. Juárez|Calle Hidalgo|Blvd. Kino|Privada Reforma|Calz. Independencia"), l("Jalisco|Oaxaca|Sonora|Nuevo León"), l("Contador"), "ddddd", "+52 55 dddd dddd", "s n", "com.mx",
	},
	"bz": {
		w("Aparecido Brígida Claudinei Doralice Eronildes Fabiana Gilberto Ivanilda Jucelino Luzinete Mauricélia Nivaldo Odete Raimunda Severino Terezinha Valdirene Zuleide"),
		w("Amorim Barroso Camargo Dutra Esteves Fagundes Guimarães Leite Macedo Nogueira Oliveira Peixoto Quadros Rezende Siqueira Toledo Vasques Zanetti"),
		l("Araçatuba|Barretos|Cascavel|Divinópolis|Erechim|Garanhuns|Itabuna|Joinville|Lages|Marabá|Oeiras|Poços de Caldas|Sorocaba|Varginha"),
		l("Rua Tiradentes|Av. Getúlio Vargas|Rua Sete de Abril|Alameda das Acácias|Praça Rui Barbosa|Travessa do Comércio"), w("SC GO CE PE ES RN AM"), l("Vendedor|Motorista"), "ddddd-ddd", "(dd) 9dddd-dddd", "s, n", "com.br",
	},
	"za": {
		w("Anathi Bongani Christo Dineo Elmarie Fikile Gugulethu Hendrik Itumeleng Jabulani Karabo Lindiwe Mpho Nomvula Ockert Palesa Refilwe Sipho Thandeka Zanele"),
		l("Bezuidenhout|Cele|Dlamini|Erasmus|Fourie|Gumede|Hlongwane|Jansen van Rensburg|Khumalo|Lekota|Mabaso|Ndlovu|Oosthuizen|Pretorius|Radebe|Sithole|Tshabalala|Viljoen"),
		l("Benoni|George|Knysna|Polokwane|Stellenbosch|Upington"), l("Voortrekker Road|Mandela Drive|Long Street"), l("Gauteng|Limpopo"), l("Clerk"), "dddd", "+27 8d ddd dddd", "n s", "co.za",
	},
	"sw": { // Ticino and northern Italy
		w("Armida Brenno Clelia Dante Elvezia Fiorella Gervasio Ines Libero Marinella Nevio Orazio Pierangela Romeo Sante Tullio Venanzio Zelinda"),
		w("Ambrosini Bernasconi Cattaneo Dell'Oca Fumagalli Galfetti Invernizzi Locatelli Maggioni Negrini Ostinelli Pozzi Quadri Rusconi Sormani Tettamanti Valsangiacomo Zanolini"),
		l("Bormio|Chiavenna|Desio|Erba|Legnano|Monza|Saronno|Sondrio|Tirano|Varese"),
		l("Via Mazzini|Piazza Cavour|Corso Italia|Via dei Mille|Vicolo Stretto|Viale Europa"), l("Lombardia"), l("Operaio"), "ddddd", "+39 33d ddddddd", "s, n", "it",
	},
	"nk": {
		w("Asbjørn Borghild Dagfinn Eldbjørg Gunvor Halvard Ingebjørg Jorunn Kåre Liv Magnhild Oddvar Ragnhild Sverre Torunn Vidar Øystein Åshild"),
		w("Aasen Brekke Dahle Eikeland Fjeld Grimstad Haugland Knudsen Lunde Moen Nygård Opdal Ruud Solheim Tveit Vangen Øverland"),
		l("Alta|Bodø|Drammen|Elverum|Førde|Gjøvik|Halden|Kongsberg|Molde|Narvik|Steinkjer"), l("Kirkegata|Skogveien|Strandgata|Fjellveien|Nordre gate"), l("Nordland"), l("Lærer"), "dddd", "+47 9dd dd ddd", "s n", "no",
	},
	"dn": {
		w("Asger Birthe Carsten Ditte Esben Frode Gurli Henning Inger Jytte Kaj Lone Mogens Nanna Orla Preben Signe Troels Vibeke"),
		w("Andreasen Bendtsen Christoffersen Damgaard Eskildsen Frandsen Gregersen Højgaard Iversen Juul Kjeldsen Lauridsen Mikkelsen Nørgaard Overgaard Poulsen Rasmussen Skovgaard Thygesen Villadsen"),
		l("Assens|Brønderslev|Fredericia|Grenaa|Holstebro|Kolding|Maribo|Nyborg|Ringsted|Skive|Tønder|Varde"), l("Skovvej|Nørregade|Bakkevænget|Algade|Strandvejen"), l("Fyn"), l("Tømrer"), "dddd", "+45 dd dd dd dd", "s n", "dk",
	},
	"ru": {
		w("Аркадий Богдан Валентина Геннадий Дарья Евдокия Захар Инна Клавдия Лидия Матвей Нонна Олеся Платон Раиса Савелий Таисия Фёдор"),
		w("Абрамов Белоусова Воронцов Гусева Дорофеев Ершова Журавлёв Зимина Калашников Лаптева Муравьёв Носкова Панфилов Рябова Суханов Третьякова Уваров Щербакова"),
		l("Тверь|Вологда|Пенза|Орёл|Псков|Чита"), l("ул. Ленина, д.|пр. Мира, д.|ул. Садовая, д.|пер. Новый, д.|ул. Гагарина, д."), l("Тульская"), l("Инженер|Бухгалтер|Водитель|Менеджер по продажам|Кладовщик"), "dddddd", "+7 9dd ddd-dd-dd", "s n", "ru",
	},
	"gr": {
		w("Αναστάσιος Βασιλική Γεράσιμος Δέσποινα Ευστάθιος Ζωή Ηλίας Θεοδώρα Ιωάννης Κυριακή Λάμπρος Μαρίνα Νεκτάριος Παρασκευή"),
		w("Αλεξίου Βλάχος Γεωργίου Δημητρίου Ευαγγέλου Καραγιάννης Λιάπης Μακρής Οικονόμου Παππάς Ράπτης Σταυρίδης Τσιρώνης Φωτίου"),
		l("Βέροια|Καβάλα|Λαμία|Πάτρα|Σέρρες|Χανιά"), l("Ερμού|Λεωφ. Κηφισίας|Αγίου Νικολάου|Βενιζέλου"), l("Αττική"), l("Δάσκαλος"), "ddd dd", "+30 69d ddd dddd", "s n", "gr",
	},
	"cn": {
		w("建华 淑芬 志强 丽娟 国栋 雪梅 永福 春燕 文博 小雨 德胜 晓彤"), w("欧阳 司马 蒋 邓 彭 曾 萧 潘 袁 卢 薛 侯"),
		l("绍兴|洛阳|桂林|株洲|烟台|泉州"), l("人民路|解放大道|中山北路|建设街"), l("湖南"), l("教师"), "dddddd", "13d dddd dddd", "s n", "cn",
	},
	"kr": {
		w("민준 서연 지후 하윤 도현 수아 건우 예린 태양 나영"), w("남궁 황보 강 윤 임 한 오 서 신 권"),
		l("춘천|경주|여수|안동"), l("세종대로|테헤란로|중앙로|한강대로"), l("강원"), l("교사"), "ddddd", "010-dddd-dddd", "s n", "kr",
	},
	"jk": {
		w("美咲 健太 陽子 大輔 千尋 拓海 由美子 直樹 彩花 浩二"), w("長谷川 西村 藤原 岡田 松井 石田 小野寺 宮本 桜井 工藤"),
		l("松江市|弘前市|呉市|上田市"), l("東京都港区芝公園4-2-|大阪市北区梅田1-3-|横浜市中区山下町1|札幌市中央区北1条西2-"), l("青森県"), l("教師"), "ddd-dddd", "0N0-dddd-dddd", "s n", "jp",
	},
	"hi": {
		w("Ambika Bhuvaneshwari Chinmay Damodar Ekta Gajendra Harshad Indumathi Jagdish Kamlesh Lalitha Mukesh Nandini Pankaj Rajeshwari Shailendra Trupti Uma Vidyasagar"),
		w("Awasthi Bhattacharjee Chauhan Deshmukh Gaikwad Hegde Jadhav Kulkarni Lakhani Murthy Natarajan Ojha Pillai Ramaswamy Shetty Tripathi Venkataraman Yadav"),
		l("Aligarh|Bellary|Durgapur|Gaya|Hosur"), l("Ring Road|Park Avenue"), l("Bihar"), l("Clerk"), "dddddd", "+91 9dddd ddddd", "n s", "in",
	},
}

// blindFiller gives words of a language for prose.
func blindFiller(lang string) []string {
	switch lang {
	case "de":
		return w("bitte klingeln Ware vor der Garage abstellen falls niemand öffnet Karton war feucht Ersatz folgt nächste Woche Rückstand ausgeglichen Zahlung eingegangen Skonto abgezogen laut Vereinbarung")
	case "fr":
		return w("colis abîmé à la réception remboursement demandé taille trop petite échange possible sous quinze jours cliente satisfaite livraison rapide mais emballage léger couleur différente de la photo")
	case "es":
		return w("solicita cambio de turno pendiente la entrega del certificado se acordó revisar la semana próxima falta firma del supervisor presentó la documentación completa sin novedades hasta hoy")
	case "pt":
		return w("entregar pela manhã portão azul ao lado da padaria deixar na portaria mercadoria frágil conferir a caixa antes de assinar troco para cem sem número visível ligar ao chegar")
	case "nl":
		return w("medicatie aangepast na overleg slaapt beter eet weinig wond geneest goed volgende week controle gepland hulpmiddel besteld geen bijzonderheden wandelt met rollator stemming wisselend")
	}
	return w("agreed to extend the deadline until next review boiler inspected and pressure reset to normal will follow up once the quote arrives essay is well structured but the conclusion needs more evidence export failed twice then finished after restart")
}
