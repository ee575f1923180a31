package classify

// Source lists of the development set. They were written apart from the classifier's dictionaries; how far the two overlap is
// printed with the scores. loc is a locale such as de.
type locale struct {
	given, sur, cities, streets, regions, jobs []string
	zip, phone, street                         string // patterns: d digit, A letter, N digit 2-9
	tld                                        string
}

var locales = map[string]locale{
	"us": {
		w("Tamika Bradley Shaniqua Delroy Marisol Wyatt Colleen Brody Kendall Desmond Latoya Garret Paulette Roscoe Trudy Waylon Brianna Jamal Keisha Darnell Corinne Misty Clint Gwendolyn Hector Dustin Amberly Rufus Yolanda Ezekiel Marcy Bart Lucinda Preston Tabitha Earl Noreen Shelby Lamar Darla"),
		w("Haverford Blankenship Okafor McAllister Yarbrough Delacroix Pruitt Huffman Castaneda Bagley Whitaker Stanton Lockhart Dunlap Goodman Salas Farley Beasley Kirkland Rasmussen Colbert Tillman Ashby Ferrell Gallegos Hickman Sosa Oakley Vance Weiss Abbott Roach Langley Moreland Sheppard Swanson Tate Waller Zamora Crosby"),
		l("Akron|Bakersfield|Cedar Falls|Dubuque|Elkhart|Fairbanks|Great Falls|Hattiesburg|Idaho Falls|Joplin|Killeen|Lawton|Muncie|New Bedford|Ogden|Pocatello|Roswell|San Angelo|Tuscaloosa|Utica|Waterbury|Yuma|Billings|Duluth|Macon"),
		l("Maple Street|Oakwood Drive|Sunset Blvd|N 5th Ave|Country Club Road|Elm Court|Highland Avenue|Pine Ridge Ln|County Road 12|Lakeshore Parkway"),
		w("CA TX NY FL OH MI PA IL GA NC WA AZ"),
		l("Claims Adjuster|Registered Nurse|Forklift Operator|Senior Accountant|Store Manager|Network Engineer|Dental Hygienist|School Bus Driver|Paralegal|Barista|HVAC Technician|Sales Associate"), "ddddd", "(NNN) NNN-dddd", "n s", "com",
	},
	"uk": {
		w("Nigella Alistair Gemima Rupert Imogen Callum Bronwyn Hamish Siobhan Percival Tamsin Angus Morwenna Gareth Elspeth Barnaby Cressida Dougal Rhiannon Fergus Jemma Declan Philippa Lachlan Saoirse Ewan Petra Cillian Maisie Rory"),
		w("Featherstone Hargreaves Ollerenshaw Pemberton Braithwaite MacAlister Llewellyn Cholmondeley Ramsbottom Thistlewood Entwistle Gascoigne Haldane Ibbotson Jessop Kershaw Lovelace Maddox Nettleton Oldroyd Penhaligon Quayle Rathbone Sedgwick Tunnicliffe Upton Wainwright Yardley Boothroyd Crossley"),
		l("Kendal|Barrow-in-Furness|Kettering|Loughborough|Rugby|Taunton|Yeovil|Scunthorpe|Grimsby|Bangor|Aberystwyth|Inverness|Stirling|Omagh|Whitby|Penzance|Ludlow|Boston|Skegness|Keswick"),
		l("High Street|Church Lane|Station Road|Mill Close|The Crescent|Victoria Terrace|Kings Road|Meadow View|Park Avenue|Orchard Way"),
		l("Cumbria|Norfolk|Suffolk|Devon|Kent|Surrey|Fife|Powys|Dorset|Essex"),
		l("Quantity Surveyor|Postman|Care Assistant|Primary Teacher|Solicitor|Chartered Accountant|Bricklayer|Staff Nurse|Estate Agent|Lorry Driver"), "AAd dAA", "0dddd dddddd", "n s", "co.uk",
	},
	"de": {
		w("Swantje Hartmut Liselotte Thorben Wiebke Eckhard Gesine Jannis Kunigunde Detlef Friederike Malte Heinrike Ottokar Rieke Siegbert Traudel Volkmar Annegret Benedikt Cordula Dietmar Eleonore Falk Gudrun Henrik Isolde Joachim Käthe Lorenz Merle Nils Ortrud Raimund Svea Tilman Uwe Vera Wolfram Jürgen Jörg Günter"),
		w("Ackermann Bödeker Clausnitzer Dombrowski Eichhorn Fassbinder Grünwald Haberland Ihlenfeld Jaschke Kettler Löffler Meinhardt Niemeyer Oberländer Petersen Quandt Rosenthal Stüber Tiedemann Uhlig Vollmer Westphal Zeidler Brückner Dreyer Hellwig Kirchhoff Lüdtke Naumann Pfitzner Rademacher Sander Thoma Wiegand"),
		l("Buxtehude|Bielefeld|Wanne-Eickel|Gütersloh|Rosenheim|Schwäbisch Gmünd|Villingen|Görlitz|Emden|Husum|Kleve|Neustrelitz|Bad Homburg|Offenburg|Pirna|Stade|Wetzlar|Straubing|Norderstedt|Lüneburg|Coburg|Hameln"),
		l("Hauptstraße|Bahnhofstr.|Am Alten Markt|Lindenallee|Goethestraße|Kirchweg|Schillerplatz|Gartenstr.|Rosenweg|Mühlgasse"),
		l("Bayern|Hessen|Sachsen|Niedersachsen|Thüringen|Berlin|Saarland|Brandenburg"),
		l("Industriekauffrau|Altenpfleger|Maschinenbauingenieur|Bäckermeister|Sachbearbeiterin|Softwareentwickler|Grundschullehrerin|Steuerberater|Elektroniker|Zahnärztin"), "ddddd", "0dddd ddddddd", "s n", "de",
	},
	"fr": {
		w("Ghislain Clotilde Fabrice Maëlle Barnabé Hortense Régine Thibault Yolande Zéphyrin Anaïs Corentin Delphine Evrard Fleur Gaspard Honoré Isaure Josselin Kévin Léonie Maëva Noémie Océane Perrine Quitterie Raphaëlle Sylvain Tiphaine Ulysse Violette Xavière Marie-Claude Jean-Luc"),
		w("Abadie Beaumont Charbonneau Delaroche Escoffier Fontenay Gaudin Hébrard Imbert Jourdain Lacombe Montagnier Navarre Ollivier Pouliquen Quesnel Rambert Saulnier Thibodeau Vaillant Bessière Cazenave Desjardins Ferrand Guilbert Laborde Maurel Peyrot Rivoire Sabatier Teyssier"),
		l("Carcassonne|Mont-de-Marsan|Saint-Malo|Agen|Roanne|Vichy|Laon|Sens|Auxerre|Périgueux|Rodez|Aurillac|Brive|Épinal|Thionville|Arles|Fréjus|Quimperlé"),
		l("rue de la République|avenue Jean Jaurès|boulevard Voltaire|place du Marché|impasse des Lilas|chemin du Moulin|rue Pasteur|allée des Tilleuls"),
		l("Bretagne|Normandie|Occitanie|Corse|Grand Est|Hauts-de-France"),
		l("Chef de projet|Infirmière|Comptable|Boulanger|Professeur des écoles|Conducteur de travaux|Aide-soignante|Ingénieur d'études|Plombier"), "ddddd", "0N dd dd dd dd", "n s", "fr",
	},
	"es": {
		w("Anselmo Begoña Calixto Dulcinea Evaristo Fermín Gertrudis Herminia Isidro Jacinta Leopoldo Macarena Nicanor Obdulia Plácido Remedios Saturnino Tránsito Urbano Vicenta Wenceslao Ximena Yago Zulema Amaia Borja Carlota Edurne Gonzalo Jimena"),
		w("Aranda Belmonte Calatrava Del Olmo Echevarría Figueras Galdós Huerta Iturbe Jaramillo Larrañaga Manrique Noriega Olivares Pizarro Quevedo Redondo Santisteban Tejada Urrutia Valverde Yáñez Zabala Bermejo Casas Dueñas Escudero Feijoo Gamboa Heredia"),
		l("Ponferrada|Talavera|Elda|Linares|Mérida|Torrelavega|Gandía|Manresa|Aranjuez|Plasencia|Ávila|Tudela|Irún|Calahorra|Úbeda"),
		l("Calle Mayor|Avenida de la Constitución|Plaza de España|Paseo del Prado|C/ Cervantes|Ronda de Toledo|Camino Real"),
		l("Asturias|Navarra|Galicia|Aragón|Murcia|La Rioja"),
		l("Enfermera|Contable|Abogado|Fontanero|Profesora de primaria|Ingeniero técnico|Camarero|Auxiliar administrativo"), "ddddd", "6dd ddd ddd", "s, n", "es",
	},
	"mx": {
		w("Xóchitl Cuauhtémoc Refugio Guadalupe Itzel Eulalio Citlali Nahúm Yaretzi Tonatiuh Lupita Porfirio"),
		w("Huerta Zavala Tlapa Nájera Escamilla Barragán Cisneros Alcántara Bobadilla Montes Orozco Villaseñor"),
		l("Celaya|Irapuato|Tampico|Zapopan|Ecatepec|Tlalnepantla|Colima|Pachuca"), l("Av. Insurgentes Sur|Calle Hidalgo|Blvd. Díaz Ordaz|Calz. de Tlalpan"), l("Jalisco|Oaxaca|Sonora|Puebla"), l("Contador público|Obrero|Médica cirujana|Chofer"), "ddddd", "55 dddd dddd", "s n", "com.mx",
	},
	"it": {
		w("Abbondio Brigida Calogero Desdemona Ermenegildo Fiammetta Gaspare Iolanda Lamberto Mirella Nazzareno Ombretta Pierluigi Quirino Rosalba Santo Teodora Ubaldo Vanda Zaira Alessia Beniamino Cinzia Duilio Elettra Fulvio"),
		w("Accardi Bevilacqua Cannavaro Di Stefano Ermini Falcone Giannini Iannuzzi La Rocca Malatesta Nicolosi Olivieri Passalacqua Quaranta Ravasi Scarpetta Tagliaferri Ungaro Vecchio Zoppi Bertolucci Calabrese Dell'Acqua Fumagalli Guidetti"),
		l("Acireale|Biella|Cesenatico|Domodossola|Empoli|Faenza|Gallarate|Imola|Jesi|Lodi|Massa|Orvieto|Prato|Rovereto|Sassuolo"),
		l("Via Roma|Corso Garibaldi|Piazza Dante|Viale Europa|Vicolo Stretto|Via XX Settembre"), w("MI RM NA TO BO FI"),
		l("Impiegato|Ragioniera|Idraulico|Medico chirurgo|Operaio specializzato|Insegnante"), "ddddd", "3dd ddddddd", "s, n", "it",
	},
	"nl": {
		w("Marloes Diederik Femke Gijsbert Hanneke Ineke Joep Koenraad Lonneke Mechteld Niek Ottoline Pleun Reinier Sanneke Tjeerd Ursula Wessel Yvette Zeger"),
		w("Aalbers Brinkman Cornelissen Dijkhuizen Evertsen Fokkema Groothuis Hoogeveen Ijzerman Kloosterman Lammers Nijhuis Oosterhuis Pronk Roelofs Slagter Tuinstra Van Zanten Wolters Zuidema"),
		l("Harderwijk|Sneek|Winterswijk|Weert|Goes|Hoogeveen|Tiel|Drachten|Zutphen|Katwijk"), l("Dorpsstraat|Kerkplein|Stationslaan|Molenweg|Prinsengracht|Julianalaan"), l("Gelderland|Drenthe|Zeeland|Limburg"), l("Verpleegkundige|Leraar|Monteur|Boekhouder"), "dddd AA", "06-dddddddd", "s n", "nl",
	},
	"pl": {
		w("Bronisława Cezary Dobrosława Eustachy Felicja Gniewomir Honorata Izydor Jagienka Klemens Longina Maksymilian Nela Onufry Przemysław Rozalia Seweryn Teofila Urban Wacław Zenobia Żaneta"),
		w("Augustyniak Bielawski Cichocka Domagała Fijałkowski Gajewska Hołownia Iwański Jędrzejczak Klimek Leszczyńska Maciąg Niedźwiecki Orłowska Pietrzyk Rogalski Stachowiak Trzebiatowska Urbaniak Wielgosz Żurawski"),
		l("Ostrołęka|Piła|Suwałki|Tarnobrzeg|Zamość|Łomża|Ełk|Iława|Cieszyn|Mielec"), l("ul. Długa|ul. Kościuszki|al. Jana Pawła II|os. Słoneczne|ul. Polna"), l("mazowieckie|śląskie|podlaskie|lubuskie"), l("Kierowca|Pielęgniarka|Księgowa|Elektryk|Nauczyciel"), "dd-ddd", "ddd ddd ddd", "s n", "pl",
	},
	"br": {
		w("Jurandir Edileuza Wanderley Iracema Ubiratan Jussara Valdemir Lucineide Genivaldo Rosilene Adalberto Cleide Dagoberto Elaine Florisvaldo Gislaine"),
		w("Cavalcante Damasceno Evangelista Figueira Gusmão Holanda Inácio Junqueira Lacerda Magalhães Nóbrega Osório Pimentel Quintino Rangel Seabra Trindade Uchoa Valadares Xavier"),
		l("Petrópolis|Caruaru|Imperatriz|Dourados|Chapecó|Ilhéus|Betim|Canoas|Jundiaí"), l("Rua das Flores|Avenida Brasil|Travessa São José|Alameda Santos|Praça da Sé"), w("SP RJ MG BA PR RS"), l("Motorista|Auxiliar de enfermagem|Advogada|Pedreiro|Analista de sistemas"), "ddddd-ddd", "(dd) 9dddd-dddd", "s, n", "com.br",
	},
	"tr": {
		w("Abdülkadir Berrin Cahit Dilara Erdoğan Figen Güneş Hüseyin İrem Kerem Leman Müjgan Nevzat Özgür Pelin Rüştü Şebnem Tuğçe Ümit Vildan Yasin Zübeyde"),
		w("Akpınar Bayraktar Ceylan Dağdelen Erkoç Fidan Gündoğdu Hatipoğlu Işıldak Karakuş Metin Oruç Pekcan Sarıkaya Tunçay Uslu Vural Yazıcı Zengin Çakmak"),
		l("Isparta|Kütahya|Nazilli|Bandırma|Rize|Kırşehir|Uşak|Yalova"), l("Atatürk Cad.|İnönü Bulvarı|Gül Sokak|Cumhuriyet Mah. Lale Sk."), l("İzmir|Bursa|Konya|Adana"), l("Öğretmen|Muhasebeci|Makine mühendisi|Hemşire|Şoför"), "ddddd", "05dd ddd dd dd", "s n", "com.tr",
	},
	"in": {
		w("Raghunath Shakuntala Devendra Kaveri Bhaskar Malathi Jayant Rukmini Parthasarathy Sulochana Gurmeet Lakshman Nirmala Omprakash Vaishali Yogesh Zubin Ishita Tanvi Aditi"),
		w("Raghavan Chattopadhyay Wadhwa Khandelwal Vaidya Puri Nambiar Thakkar Lokhande Sethuraman Bhardwaj Gokhale Iyer Mahajan Rastogi Sabharwal Tendulkar Upadhyay"),
		l("Tiruppur|Bhubaneswar|Udaipur|Warangal|Salem|Kolhapur|Ajmer|Nellore"), l("MG Road|Nehru Nagar|Sector 14|Anna Salai|Park Street"), l("Kerala|Gujarat|Punjab|Karnataka|Bihar"), l("Software Engineer|Chartered Accountant|School Teacher|Bank Clerk"), "dddddd", "+91 NNddd ddddd", "n, s", "in",
	},
	"se": {
		w("Torbjörn Gunilla Ragnar Solveig Åke Märta Yngve Hjördis Folke Britt-Marie Sixten Ingegerd Ture Ellinor Östen Vendela"),
		w("Ahlqvist Blomkvist Cederholm Dahlström Ekblad Fagerlund Granlund Hedlund Isaksson Juhlin Kjellberg Löfgren Malmström Nordin Ohlsson Rydell Stenberg Thunberg Wikström Åkesson"),
		l("Kiruna|Visby|Trollhättan|Östersund|Motala|Landskrona|Varberg|Falun"), l("Storgatan|Kungsvägen|Skolgatan|Björkvägen"), l("Skåne|Dalarna|Uppsala|Halland"), l("Undersköterska|Lärare|Snickare|Ekonom"), "ddd dd", "+46 7d ddd dd dd", "s n", "se",
	},
	"jp": {
		w("Shinobu Kazuhiko Tomoe Yasuhiro Fumiko Noriyuki Chihiro Masahiro Sayuri Hideaki Rie Takumi"), w("Kuroda Nishikawa Oshima Shirai Takeda Uchida Wakabayashi Yoshimura Arakawa Hirano Matsui Kawaguchi"),
		l("Kanazawa|Nagano|Toyota|Beppu|Hakodate|Kurashiki"), l("Chuo-dori|Sakura-cho|Honmachi"), l("Hokkaido|Aichi|Nara|Okinawa"), l("Kaishain|Kyoshi"), "ddd-dddd", "+81 N0 dddd dddd", "n-n-n s", "jp",
	},
}

func conditionsList() []string {
	return l("Essential hypertension|Type 2 diabetes mellitus|Seasonal allergic rhinitis|Acute otitis media|Plantar fasciitis|Migraine without aura|Rotator cuff tear|Iron deficiency anemia|Generalized anxiety disorder|Chronic kidney disease stage 3|Gastroesophageal reflux|Carpal tunnel syndrome|Lumbar disc herniation|Atopic dermatitis|Community acquired pneumonia|Hashimoto thyroiditis|Panic attacks|Psoriatic arthritis|Ulcerative colitis|Polycystic ovaries")
}

func drugsList() []string {
	return l("Lisinopril 10 mg|Metformin 500 mg|Amoxicillin|Zopiclone 7.5mg|Rosuvastatin|Pantoprazole 40 mg|Sertraline|Cetirizine|Insulin degludec|Salbutamol inhaler|Ticagrelor|Ibuprofen 400mg|Nebivolol|Escitalopram 5 mg|Tapentadol|Clarithromycin|Fexofenadine|Levothyroxine 50 mcg|Candesartan 8 mg|Mirtazapine")
}

func productsList() []string {
	return l("Billy bookcase white|Oxford chair|Amelia table lamp|Victoria sponge tin|Madison desk|Chelsea boot|Georgia peach jam|Henry vacuum cleaner|Jackson hole mug|Berlin backpack|Austin cooler 20L|Florence vase|Windsor kettle|Hudson sofa 3-seat|Sienna rug|Stella candle|Logan tool box|Paris poster|Dexter drill|Ruby ring holder|Max charger|Olive wood board|Savannah curtain|Bruno coffee grinder|Phoenix torch")
}

func wordsList() []string {
	return w("order shipment delay invoice parcel return refund damaged colour blue quantity warehouse pallet delivery friday morning quality issue package arrived late missing item box supplier batch production line machine setting update review approved pending window number please check again status report meeting project deadline draft version final document team support request closed ticket opened resolved button screen login page error slow loading feature export works fine great service happy price cheap expensive product recommended sturdy light heavy material cotton steel wood plastic")
}
