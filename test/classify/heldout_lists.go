package classify

// Source lists of the held-out set. None of their words stands in the lists of the development set on purpose; nothing in
// them was chosen after looking at what the classifier knows.

var heldoutLocales = map[string]locale{
	"us": {
		w("Althea Bryson Candace Dwight Estelle Forrest Ginny Harlan Ivette Jolene Kermit Lorena Marlon Nadine Orville Priscilla Quentin Rochelle Sylvester Tanisha Ulysses Velma Wendell Xiomara Yvette Zachariah Clarice Leland Maribel Otis"),
		w("Applewhite Brubaker Coltrane Dempsey Eastwick Fitzsimmons Grimaldi Hathaway Ingersoll Jamison Kowalczyk Lattimore McElroy Nunez-Ortiz Odom Pendergrass Quarles Rutherford Stapleton Trujillo Underhill Villarreal Wexler Youngblood Zimmer Abernathy Burkhart Cavanaugh Draper Esquivel"),
		l("Altoona|Beaumont|Chattanooga|Decatur|Eau Claire|Flagstaff|Greenville|Harrisonburg|Iowa City|Johnstown|Kalamazoo|Lubbock|Missoula|Niagara Falls|Oshkosh|Peoria|Redding|Sioux Falls|Texarkana|Walla Walla"),
		l("Juniper Way|W Magnolia St|Frontage Road|Old Mill Rd|Hickory Ln|S Broadway|E 42nd Street|Prairie View Ct|Quarry Blvd|State Route 9"),
		w("CO UT NM OR NV MN WI MO KY TN"), l("Welder|Payroll Specialist|Physical Therapist|Line Cook|Warehouse Supervisor|Software Tester|Loan Officer|Flight Attendant|Roofer|Librarian"), "ddddd-dddd", "+1-NNN-NNN-dddd", "n s", "org",
	},
	"uk": {
		w("Aneurin Bettany Crispin Dorcas Edmund Flora Gwyneth Harriet Iolo Jocelyn Kit Leonie Monty Nerys Octavia Piers Rowena Sebastian Thea Ursula Verity Winifred"),
		w("Ackroyd Birtwistle Copperfield Duxbury Elphinstone Fothergill Greenhalgh Heathcote Inskip Jellicoe Kinnear Lockwood Micklethwaite Norbury Ormerod Postlethwaite Rawsthorne Shackleton Trelawney Umpleby Vickerstaff Wolstenholme"),
		l("Alnwick|Bideford|Clitheroe|Dumfries|Ely|Falmouth|Glossop|Hexham|Ilkley|Kirkcaldy|Llanelli|Melrose|Newquay|Oban|Pontefract|Ripon"),
		l("Abbey Road|Brook Street|Chapel Hill|Dovecote Mews|Elm Grove|Fir Tree Drive|Glebe Gardens|Harbour Row"), l("Cornwall|Rutland|Gwynedd|Antrim|Lancashire|Somerset"), l("Plumber|Midwife|Conveyancer|Headteacher|Paramedic|Architect"), "AAd dAA", "+44 7ddd dddddd", "n s", "uk",
	},
	"de": {
		w("Adelheid Burkhard Clothilde Diethard Ekkehard Fridolin Gerlinde Hannelore Irmgard Jobst Korbinian Leopold Mechthild Norbert Ottilie Philipp Quirin Roswitha Sieglinde Thusnelda Ulrich Veit Waltraud Xaver Zita"),
		w("Achterberg Brinkmann Dannenberg Eisenhauer Finkbeiner Gottschalk Hölderlin Immenhof Junghans Kaltenbrunner Lichtenfels Mühlhausen Nachtigall Oppermann Pfannenstiel Quandt Rosenkranz Sauerbier Trautwein Unterberger Vogelsang Wackernagel Zimmerling"),
		l("Ansbach|Bautzen|Celle|Detmold|Emden|Fulda|Goslar|Husum|Itzehoe|Kleve|Landshut|Minden|Nordhorn|Passau|Rastatt|Soest|Tuttlingen|Wismar"),
		l("Ahornweg|Bahnhofstr.|Am Marktplatz|Dorfstraße|Eichenallee|Goethestr.|Hinter der Mühle|Königsallee|Lindenring|Schillerplatz"), l("Hessen|Saarland|Sachsen|Thüringen|Niedersachsen"), l("Industriekauffrau|Tischler|Krankenpfleger|Steuerfachangestellte|Busfahrer|Lehrerin|Chemikant|Rechtsanwältin"), "ddddd", "0dddd/dddddd", "s n", "de",
	},
	"fr": {
		w("Adélaïde Bastien Capucine Damien Eulalie Firmin Gaëlle Honorine Isidore Joséphine Killian Léopoldine Mathurin Noémie Octave Perrine Quitterie Rémi Séverine Théophile Ursule Valentin Yolande Zéphyrin"),
		w("Aubertin Beaujolais Charpentier Delacourt Estève Froissart Guillemot Hébrard Jacquemin Kerbrat Lamoureux Maisonneuve Nadeau Ollivier Peyronnet Quémener Roussillon Sauvageot Tissandier Vaillancourt"),
		l("Albi|Béziers|Cahors|Dieppe|Épinal|Figeac|Guéret|Hyères|Issoire|Laval|Mâcon|Nevers|Orange|Pau|Quimper|Rodez|Saumur|Tarbes|Vichy"),
		l("rue de la République|avenue Jean Jaurès|boulevard Voltaire|place du Marché|chemin des Vignes|impasse des Lilas|allée des Tilleuls"), l("Bretagne|Occitanie|Normandie|Ardèche|Creuse"), l("Infirmière|Boulanger|Comptable|Chauffeur routier|Avocate|Électricien"), "ddddd", "06 dd dd dd dd", "n, s", "fr",
	},
	"es": {
		w("Apolonio Benita Casimiro Domitila Eleuterio Fermina Gumersindo Hortensia Indalecio Jacinta Leocadia Macario Nicanor Obdulia Primitivo Remedios Saturnino Teodora Urbano Visitación"),
		w("Aguirrezabal Barrientos Carballo Doménech Echegaray Figueroa Galdeano Hinojosa Izaguirre Jaramillo Lizarraga Monasterio Noguera Olivares Peñalver Quiroga Rebollo Santisteban Tordesillas Urrutia Valbuena Zubizarreta"),
		l("Albacete|Badalona|Cáceres|Denia|Elda|Ferrol|Gandía|Huesca|Irún|Jerez|Lugo|Mérida|Orense|Plasencia|Reus|Soria|Teruel|Utrera|Zamora"),
		l("Calle Mayor|Avda. de la Constitución|Plaza de España|Camino Viejo|Paseo Marítimo|C/ del Carmen"), l("Asturias|Navarra|La Rioja|Extremadura|Murcia"), l("Enfermera|Camarero|Abogada|Albañil|Maestro|Contable"), "ddddd", "6dd ddd ddd", "s, n", "es",
	},
	"pt": {
		w("Albertino Belmira Custódio Deolinda Ermelinda Fortunato Gracinda Horácio Idalina Jacinto Leonilde Maximino Natércia Olegário Policarpo Rosalina Silvério Telmo Umbelina Violante"),
		w("Abrantes Bettencourt Caldeira Domingues Espírito-Santo Falcão Gouveia Henriques Jardim Leitão Mascarenhas Noronha Palhares Queirós Rebelo Saldanha Teles Vasconcelos"),
		l("Abrantes|Beja|Covilhã|Elvas|Faro|Guimarães|Lagos|Mirandela|Odivelas|Portimão|Silves|Tavira|Viseu"), l("Rua Augusta|Largo do Rossio|Avenida da Liberdade|Travessa do Carmo|Praceta das Oliveiras"), l("Alentejo|Algarve|Minho|Beira Baixa"), l("Enfermeiro|Pescador|Professora|Cozinheiro|Engenheira civil"), "dddd-ddd", "+351 9dd ddd ddd", "s, n", "pt",
	},
	"br": {
		w("Anderson Berenice Cícero Dalva Edinaldo Francisca Gilmara Heraldo Ivonete Josefa Keila Lindomar Marinalva Neide Odair Penha Reginaldo Suely Tarcísio Vanusa"),
		w("Alencar Bezerra Carvalhal Dantas Estrela Fontenele Gurgel Hermógenes Jatobá Lisboa Maranhão Novaes Paranhos Queiroz Rabelo Sampaio Tavares Viana Wanderley"),
		l("Anápolis|Blumenau|Campina Grande|Diadema|Feira de Santana|Guarulhos|Itajaí|Juazeiro|Londrina|Mossoró|Niterói|Pelotas|Sobral|Uberaba"), l("Rua XV de Novembro|Av. Paulista|Rua Sete de Setembro|Estrada do Campo|Alameda das Acácias"), w("CE PE GO SC AM PB"), l("Pedagoga|Eletricista|Vendedor|Técnico de enfermagem"), "ddddd-ddd", "+55 dd 9dddd-dddd", "s, n", "br",
	},
	"it": {
		w("Adalgisa Baldassarre Calogero Desdemona Ermenegildo Fiorenza Gaspare Ilaria Lamberto Mafalda Nazareno Ornella Pasquale Quirino Rosalba Saverio Tiziana Ubaldo Vittoria Zaira"),
		w("Abbatantuono Bevilacqua Castelluccio D'Annunzio Evangelisti Frescobaldi Giannini Iacobucci Lo Cascio Malaspina Notarangelo Occhipinti Pellegrini Quattrocchi Ruggiero Sgarbi Tagliaferri Ventimiglia Zuccarelli"),
		l("Asti|Biella|Crotone|Domodossola|Empoli|Foligno|Gallarate|Imola|Lecco|Matera|Novara|Oristano|Pordenone|Ragusa|Sassari|Teramo|Udine|Viterbo"), l("Via Garibaldi|Corso Vittorio Emanuele|Piazza del Popolo|Viale dei Mille|Vicolo Stretto"), l("Abruzzo|Molise|Umbria|Liguria"), l("Infermiere|Idraulico|Commercialista|Insegnante|Cameriera"), "ddddd", "+39 3dd ddddddd", "s, n", "it",
	},
	"nl": {
		w("Adriaan Bouke Christel Diederik Elske Frouke Gijsbert Hanneke Ietje Jurriaan Klaske Lieve Maarten Neeltje Okke Pleun Reinier Sietske Teun Wubbo Ymke"),
		l("van Amerongen|Bakhuizen|de Clercq|Dijkgraaf|van den Enden|Folkertsma|Groeneveld|Haverkamp|ter Horst|Jongbloed|Kwakkel|Langendijk|Middelkoop|Noordhoek|Oosterhuis|Plantinga|Roelofs|Schimmelpenninck|Timmermans|van der Velde|Wiersma|Zijlstra"),
		l("Assen|Barneveld|Culemborg|Doetinchem|Ede|Gorinchem|Hulst|IJmuiden|Kampen|Lisse|Meppel|Oss|Putten|Roermond|Steenwijk"), l("Achterweg|Beatrixlaan|Dijkstraat|Grote Markt|Havenkade|Zuiderpark"), l("Friesland|Groningen|Flevoland|Utrecht"), l("Huisarts|Timmerman|Kapper|Administrateur"), "dddd AA", "+31 6 dddddddd", "s n", "nl",
	},
	"pl": {
		w("Aldona Bogumił Celestyna Dionizy Eufemia Florian Grażyna Hieronim Irmina Jarosław Kinga Leokadia Mieczysław Natasza Olgierd Patrycja Radosław Stanisława Tymoteusz Wiesława Zdzisław"),
		w("Adamczewski Bojarska Cieślik Drzewiecki Fabiszewska Gołębiowski Hajduk Jaworska Kasprzak Lisowska Marciniak Nowicka Okoński Piechota Radziszewska Skowroński Tomczyk Wierzbicka Zakrzewski"),
		l("Augustów|Bochnia|Chełm|Dębica|Gniezno|Hajnówka|Jasło|Kłodzko|Lębork|Malbork|Nysa|Olkusz|Płock|Rybnik|Sanok|Tczew"), l("ul. Mickiewicza|ul. Kwiatowa|al. Niepodległości|pl. Wolności|os. Piastów"), l("lubelskie|opolskie|pomorskie|podkarpackie"), l("Spawacz|Fryzjerka|Lekarz|Programista"), "dd-ddd", "+48 ddd ddd ddd", "s n", "pl",
	},
	"se": {
		w("Alvar Birgitta Cajsa Dagny Egon Frideborg Gustav Hedvig Ingvar Jarl Karin Ludvig Malin Njord Orvar Pernilla Rutger Sigrid Tage Ulla Valdemar"),
		w("Almgren Bäckström Cronqvist Dalgren Engqvist Frisk Gyllenhammar Hallström Ivarsson Jernberg Källström Lagerlöf Nyqvist Palmgren Rosengren Sandström Tingström Wallenborg Öberg"),
		l("Arboga|Borås|Eskilstuna|Gävle|Hudiksvall|Karlskrona|Lidköping|Mora|Nyköping|Piteå|Skövde|Ystad"), l("Drottninggatan|Ängsvägen|Parkvägen|Hamngatan"), l("Värmland|Småland|Gotland"), l("Sjuksköterska|Elektriker|Kock"), "ddd dd", "070-ddd dd dd", "s n", "se",
	},
	"tr": {
		w("Alper Belgin Cengiz Defne Emrullah Ferhat Gönül Hakkı İlknur Jülide Korkut Meltem Nurettin Oya Perihan Ramazan Sevgi Turgut Ülkü Yıldız Zafer"),
		w("Altıntaş Boztepe Çelikkol Demircioğlu Ekşi Güngören Haznedar İnceoğlu Karahan Kocabıyık Mutlu Nalbant Özbek Pamukçu Soylu Şentürk Taşkıran Uğurlu Yurdakul"),
		l("Aksaray|Bolu|Çorum|Düzce|Edirne|Fethiye|Giresun|İskenderun|Kars|Manisa|Niğde|Ordu|Sinop|Tokat"), l("Barbaros Cad.|Menekşe Sok.|Bağdat Caddesi|Yıldız Mah. 12. Sk."), l("Antalya|Samsun|Mersin|Van"), l("Eczacı|Garson|Avukat|Elektrikçi"), "ddddd", "+90 5dd ddd dd dd", "s n", "tr",
	},
	"jp": {
		w("Akihito Beniko Daisuke Eriko Fuyuki Goro Haruhi Itsuki Jiro Kanako Mitsuko Naoki Osamu Reiko Satoru Tsubasa Umeko Yoko"), w("Aoyama Chiba Endo Fujimoto Hamada Iwasaki Kageyama Miyazawa Nakajima Okamoto Sawada Tachibana Ueno Yamashiro"),
		l("Aomori|Chigasaki|Fukushima|Gifu|Himeji|Imabari|Kushiro|Matsue|Naha|Otsu"), l("Asahi-dori|Midori-cho|Kita-ku|Minami-machi"), l("Akita|Ehime|Gunma|Saga"), l("Kangofu|Keisatsukan|Eigyo"), "ddd-dddd", "090-dddd-dddd", "n-n-n s", "jp",
	},
	"in": {
		w("Anandi Balwinder Chandrika Dhananjay Eshwar Falguni Girish Hemlata Indrani Jaswant Kalpana Lalita Madhukar Narasimha Padmini Ranganath Sarojini Tarun Usha Venkatesh"), w("Acharya Banerji Chitnis Deshpande Gangopadhyay Hegde Jadhav Kulkarni Lingam Mukherji Nair Palaniswamy Ranganathan Shinde Tripathi Vyas"),
		l("Alappuzha|Belagavi|Cuttack|Dehradun|Guntur|Hubli|Jhansi|Karimnagar|Madurai|Nashik"), l("Gandhi Road|Station Road|Laxmi Nagar|3rd Cross, HSR Layout"), l("Odisha|Haryana|Assam|Goa"), l("Tailor|Data Entry Operator|Civil Engineer"), "dddddd", "+91-ddddd-ddddd", "n, s", "in",
	},
}

// filler gives words of a language for prose.
func filler(lang string) []string {
	switch lang {
	case "de":
		return w("die Lieferung wurde wegen fehlender Teile verschoben und neu geplant bitte prüfen ob das Gerät geliefert ist danke der Vorgang bleibt offen bis zur Klärung Rechnung folgt Termin bestätigt Reparatur abgeschlossen")
	case "fr":
		return w("la livraison est reportée merci de vérifier le dossier avant la fin du mois une pièce manque et le délai reste ouvert facture envoyée réparation terminée suite à la demande aucun retour prévu")
	case "es":
		return w("el pedido llegó tarde y falta una pieza por favor revisar antes del viernes la factura sigue pendiente entrega confirmada gracias reparación terminada sin respuesta hasta ahora")
	case "it":
		return w("la consegna è in ritardo manca un pezzo si prega di verificare prima di venerdì fattura in attesa riparazione conclusa grazie nessuna risposta finora")
	case "nl":
		return w("de levering is vertraagd er ontbreekt een onderdeel graag controleren voor vrijdag factuur volgt reparatie afgerond bedankt nog geen antwoord ontvangen")
	case "pl":
		return w("dostawa jest opóźniona brakuje części proszę sprawdzić przed piątkiem faktura oczekuje naprawa zakończona dziękuję brak odpowiedzi do tej pory")
	}
	return w("replaced the filter and ran a second pass everything looks stable now waiting for parts from the vendor before we can continue the ticket remains with logistics until the end of the quarter no further action planned the customer asked for a quote")
}
