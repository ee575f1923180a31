package classify

// Source lists of the fresh set, written apart from those of the others: common and rare names side by side, as people have them.

var freshLocales = map[string]locale{
	"us": {
		w("Aaron Aiyana Braxleigh Brett Brynlee Caleb Calista Cletis Denise Deshaun Dominick Durwood Ebony Emberlynn Everett Giselle Hugh Janelle Jaxtyn Jerald Kareem Kaylynn Kyrie Lavonne Leanne Mackenzie Megan Miranda Nathan Normalee Oaklynn Octavius Paige Raekwon Rosalind Rylan Sawyer Shauna Stephen Talia Tavion Trayvon Trevor Verlene Vernon Wesley Zaylee Zoe"),
		w("Aldridge Barnhart Begaye Birdwhistle Boykin Bruggeman Burch Crenshaw Davila Dugan Eubanks Fauntleroy Fitch Gaines Hackett Hochstetler Hollis Kincaid Krzyzewski-Hall Lemoine Lindqvist Mahoney McCray Nguyen Ochoa Okonkwo Oyelaran Pettit Pflugrath Quackenbush Ratliff Sandoval Schroeder Stallings Stavenhagen Swartzentruber Teague Throckmorton Travers Tsosie Tuttleberry Vang Vega Walton Whitley Xiong Zamora Zook"),
		l("Abilene|Bellingham|Bend|Bucyrus|Champaign|Chillicothe|Dayton|Fort Wayne|Gainesville|Huntsville|Jackson|Kalispell|La Crosse|Mesa|Natchitoches|Norman|Okmulgee|Omaha|Ottumwa|Pahrump|Provo|Punxsutawney|Reno|Santa Fe|Sedro-Woolley|Sheboygan Falls|Tishomingo|Tulsa|Wapakoneta|Wichita"),
		l("Birch St|W Lincoln Ave|Hawthorne Dr|Ridgeview Ter|E 3rd St|Cedar Hollow Rd|Martin Luther King Blvd|Willow Creek Ln|Old Post Rd|Market St"),
		w("NC GA VA OR CO NE KY MN TX OK AZ NJ"), l("Accountant|Pharmacist|Delivery Driver|HR Generalist|Data Analyst|Substitute Teacher|Machinist|Caregiver|Attorney|Sous Chef|Project Manager|Welder II"), "ddddd", "NNd-NNN-dddd", "n s", "com",
	},
	"uk": {
		w("Adele Ashok Beatrice Callum Ceinwen Darcy Dilwyn Elliot Fenella Fiona Gethin Gwilym Hardeep Harpreet Imran Jacinta Keith Kulwinder Lesley Maureen Mhairi Nigel Nuala Oluwaseun Oonagh Parveen Rhys Rukhsana Stuart Tegwen Tracey Vikram Yvonne Zubaida"),
		w("Ainsworth Akinfenwa Bhatti Birchenough Caldwell Cowperthwaite Dewhurst Dhillon-Reid Eastoe Eccles Fairclough Fazackerley Galbraith Golightly Hepplewhite Hussain Inglethorpe Iqbal Jephson Jowsey Kirkbride Kneebone Latimer Loosemore Mistry Mudd Nolan O'Hara Onyekachi Prosser Rowbotham Sutcliffe Tranter Whitehouse Yates"),
		l("Axminster|Bakewell|Barnsley|Callander|Carlisle|Derby|Diss|Dundee|Exeter|Eyemouth|Fakenham|Gateshead|Hay-on-Wye|Hereford|Kirkby Lonsdale|Luton|Machynlleth|Margate|Newport|Oswestry|Paisley|Rochdale|Swindon|Truro"),
		l("Albert Road|Beech Avenue|Cromwell Street|Grange Park|Holly Bank|Lime Tree Way|Manor Drive|Queensway|St Mary's Close"), l("Derbyshire|Clwyd|Shropshire|Angus|Wiltshire|Tyne and Wear"), l("HGV Driver|Teaching Assistant|Radiographer|Roofer|Payroll Clerk|Bus Driver|Dental Nurse"), "AAd dAA", "07ddd dddddd", "n s", "co.uk",
	},
	"de": {
		w("Aleyna Andreas Bärbel Dagmar Dörte Emre Frauke Friedhelm Gerhard Gisbert Heidrun Heiko Ingolf Jördis Jürgen Karl-Heinz Katharina Lukas Manfred-Otto Monika Nadine Neele Ortwin Ralf Roland-Jörg Sabine Silvio Thekla Volker Wencke Wiltrud Yannik Yusuf-Can"),
		w("Abendroth Althaus Baumgartner Bierwirth Cichon Cordes Diekmann Drescher-Kuhn Ehmke Engelhardt Flottmann Flügge Gehrmann Gerlach Hinrichs Hübner Ivanov Jagusch Janßen Krämer Kwiatkowski Lindemann Lüttgens Mertens Mähler Nienaber Nowak Oelschläger Ostermann Paulsen Prigge Reuter Rüschenschmidt Schlottmann Schmitz Schäfer Tewes Thiele Uhlmann Vennemann Voigt Wegener Wulfhorst Yilmaz Ziegler Zumbrink"),
		l("Aachen|Ahaus|Bocholt|Buchholz in der Nordheide|Calw|Cottbus|Dillingen|Düren|Erlangen|Eschwege|Flensburg|Forchheim|Gera|Grevenbroich|Herford|Höxter|Idstein|Ingolstadt|Jena|Kamenz|Kempten|Lohne|Lübeck|Mainz|Meldorf|Neuss|Northeim|Oldenburg|Plauen|Prüm|Quakenbrück|Regensburg|Suhl|Trier|Ulm|Worms|Öhringen"),
		l("Bergstraße|Feldweg|Friedhofstr.|Hasenpfad|Industriestraße|Kastanienallee|Marktplatz|Ringstraße|Talweg|Wilhelmstr."), l("Hamburg|Nordrhein-Westfalen|Rheinland-Pfalz|Baden-Württemberg|Schleswig-Holstein"), l("Verwaltungsfachangestellte|Mechatroniker|Erzieherin|Dachdecker|Controller|Physiotherapeutin|Fachinformatiker|Lagerist|Sekretärin"), "ddddd", "+49 15d dddddddd", "s n", "de",
	},
	"fr": {
		w("Amandine Aubierge Baptiste Brieuc Cyprienne Cédric Danielle Donatien Enora Franck Fulbert Gaïd Gwenaëlle Hermance Hugo Ildefonse Inès Jildaz Julien Laurence Loeiza Mathilde Mayeul Nicolas Nolwenn-Marie Ophélie Oswald Patrick Priscille Romain Rozenn Sandrine Sixtine Tugdual Xavier Yasmine Zoé Élodie Éric"),
		w("Abgrall Arnaud Besnard Bihan-Poudec Blanchard Bourhis Cadiou Chevallier Collet Desplanches Dubois Esnault Etienne Faure Fromentin Garnier Gouzien Hamdi Hervouet Jacquet Jaffrézic Kerhervé Kermarrec Le Lefebvre Marchand Mazurier Nguyen Nédélec Oger Ouvrard Perrot Pichavant Queffélec Rabouin Renaud Sanchez Texier Tréguier Vasseur Weber Zimmer"),
		l("Annecy|Argentan|Bayonne|Bellac|Calais|Carhaix|Decazeville|Dijon|Embrun|Fougères|Gourdon|Grasse|Hazebrouck|Lannion|Lorient|Loudéac|Metz|Mirecourt|Narbonne|Nérac|Pithiviers|Ploërmel|Poitiers|Redon|Reims|Sète|Tulle|Valence|Vannes|Vitré|Évreux"),
		l("rue Victor Hugo|avenue de la Gare|chemin des Écoles|place de la Mairie|rue du Général Leclerc|boulevard Carnot|impasse du Puits|route de Lyon"), l("Bretagne|Auvergne-Rhône-Alpes|Pays de la Loire|Nouvelle-Aquitaine"), l("Assistante de direction|Technicien de maintenance|Aide à domicile|Chargé de clientèle|Enseignante|Cuisinier|Magasinier"), "ddddd", "0N.dd.dd.dd.dd", "n s", "fr",
	},
	"es": {
		w("Aránzazu Bibiana Bruno Celedonio Consuelo Daniel Dositea Esperanza Eutimio Felipe Fuensanta Gema Guiomar Higinio Inmaculada Joaquín Lorena Mateo Melchor Nekane Noelia Onofre Paloma Piedad Rafael Serafín Silvia Verónica Yolanda Óscar"),
		w("Abascal Alonso Bengoechea Benítez Cabrera Cantalapiedra Dorronsoro Díez Etxeberria Expósito Ferrer Fuertes-Lago Gallardo Goicoechea Herranz Hidalgo Insausti Jurado Labiano Lozano Madariaga Marín Navarro Ollero Ortega Parra Perales-Gil Rubio Sacristán Sáez Trujillo Vidal Zamorano"),
		l("Alcoy|Algeciras|Almendralejo|Badajoz|Baeza|Burgos|Calatayud|Castellón|Córdoba|Don Benito|Estepona|Fraga|Girona|Guadix|Hellín|Huelva|Jaca|Jaén|Llanes|Lorca|Mondragón|Motril|Ourense|Puertollano|Segovia|Vigo|Zamora|Écija"),
		l("Calle del Sol|Avenida de Andalucía|Plaza Mayor|Calle San Juan|Paseo de la Castellana|Calle Real|Camino de Ronda"), l("Valencia|Castilla y León|Cantabria|Canarias"), l("Administrativo|Electricista|Dependienta|Arquitecta|Conductor|Cocinera"), "ddddd", "6dd dd dd dd", "s, n", "es",
	},
	"mx": {
		w("Abundio Alondra Benito Chayito Citlalli Damián Eduviges Estela Fabián Filiberto Graciela Hermelinda Humberto Irma Isauro Jorge Jovita Karla Leobardo Leticia Maricela Nereida Noé Paulina Primitiva Ricardo Sonia Ulises Vianey"),
		w("Aguilera Amezcua Bañuelos Becerra Contreras Covarrubias Domínguez Elizondo Espinoza Figueroa-Luna Franco Garza Gastélum Hinojosa Iñiguez Juárez Lara Lizárraga Monreal Murillo Nava Ontiveros Pacheco Pantoja Quiroz Rentería Rosales Salinas Treviño Urzúa Valdez Zepeda"),
		l("Acámbaro|Aguascalientes|Chihuahua|Comitán|Cuernavaca|Ensenada|Guaymas|Jiquilpan|La Paz|Morelia|Mérida|Navojoa|Querétaro|Sahuayo|Saltillo|Tepic|Toluca|Tulancingo|Villahermosa"), l("Av. Revolución|Calle 5 de Mayo|Blvd. Morelos|Prol. Zaragoza|Av. Universidad"), l("Coahuila|Chiapas|Michoacán|Yucatán"), l("Ingeniero|Enfermera|Vendedor|Maestra"), "ddddd", "+52 81 dddd dddd", "s n", "com.mx",
	},
	"it": {
		w("Alfonsina Barbara Bortolo Cesidio Claudio Dorotea Efisio Federico Gavino Ivano Katia Mansueto Marcella Nicola Nunzia Ornella Paolo Sebastiana Teresa"),
		w("Abis Amato Barbieri Bortolotti Cadeddu Colombo Dalla Donati Fadda Ferraro Girolami Grassi Iovine Leone Marini Murgia Nardi Noviello Orlando Pagano Pisano-Riva Presti Quaglia Rinaldi Schirru Tomasello Villa Zappalà"),
		l("Alghero|Bitonto|Camerino|Caserta|Cuneo|Dolo|Fermo|Ferrara|Grosseto|Lanciano|Latina|Mantova|Merano|Nuoro|Pistoia|Portogruaro|Savona|Sulmona|Trento"),
		l("Via Verdi|Via della Repubblica|Corso Matteotti|Piazza San Marco|Viale Trieste|Via Leonardo da Vinci"), w("BG PD PI AN TN CE VR LE"), l("Impiegata|Elettricista|Avvocato|Commessa|Geometra|Autista|Infermiere"), "ddddd", "+39 34d ddd dddd", "s, n", "it",
	},
	"pt": {
		w("Adérito Benilde Bernardo Catarina Celestino Delfim Eduarda Felismina Graça Gualter Hermínia Iria Lisete Lurdes Paulo Sofia Ângela"),
		w("Almeida Amaro Barradas Cachado Coelho Drago Esteves Frazão Galhardo Gomes Lavrador Lopes Loureiro Machado Mourão Neves Pestana Ramalho Raposo Serrano Simões Vilhena"),
		l("Alcobaça|Aveiro|Braga|Bragança|Celorico|Estremoz|Figueira da Foz|Fundão|Leiria|Loulé|Mangualde|Matosinhos|Ponte de Lima|Setúbal|Tondela|Torres Vedras|Vila Real"), l("Rua do Comércio|Avenida da República|Largo da Igreja|Rua de Santa Catarina|Estrada Nacional 10"), l("Alentejo|Douro|Algarve"), l("Enfermeiro|Contabilista|Motorista|Professora"), "dddd-ddd", "+351 9dd ddd ddd", "s, n", "pt",
	},
	"br": {
		w("Adenilson Alessandra Bruna Caio Cleonice Deusdete Débora Edileusa Everton Flávia Francinete Genésio Gustavo Hélio Isabela Ivanildo Jaciara Jefferson Keyla Larissa Lindalva Natália Rodrigo Rosângela Sabrina Uelinton Vanessa Wagner"),
		w("Anjos Calixto Cunha Dourado Drumond Gadelha Honorato Jatene Lima Lustosa Medeiros Moraes Padilha Pereira Prado Ribeiro Santana Sarmento Teixeira"),
		l("Altamira|Aracaju|Bagé|Bauru|Caicó|Cuiabá|Dracena|Florianópolis|Formosa|Goiânia|Ipatinga|Ituiutaba|Ji-Paraná|Macapá|Maringá|Natal|Osasco|Picos|Piracicaba|Rio do Sul|Taubaté|Umuarama|Vitória"), l("Rua Dom Pedro II|Av. Brasil|Rua São João|Travessa da Paz|Rua Marechal Deodoro"), w("SP RJ MG RS PA MT BA DF"), l("Auxiliar administrativo|Professor|Técnico de enfermagem|Pedreiro|Engenheiro civil"), "ddddd-ddd", "(dd) 9dddd-dddd", "s, n", "com.br",
	},
	"nl": {
		w("Aagje Bas Berend-Jan Carolien Eefje Esther Floor Fokje Gerben Gerrit Hendrik Hiltje Iris Jelmer Karin Kornelis Lidewij Lotte Marijke-Anna Marjan Niels Petra Rik Ruurd Siebren Sjoerd Thijs Trijntje Willeke Youssef"),
		l("Aukema|Bakker|Bos|Cuperus|Dekker|Dijkema|El Amrani|Elzinga|Feenstra|Gerritsen|Hoekstra-Vos|Hofman|Jellema|Kooistra|Kuipers|Maas|Meijer|Nauta|Pasveer|Peters|Postma|Renkema|Schouten|Smit|Sytsma|Terpstra|Veenstra|Yildirim|de Jong|de Wit|van Bommel-Prins|van Dijk|van Ginkel|van den Berg"),
		l("Appingedam|Bolsward|Breda|Coevorden|Delft|Dokkum|Elburg|Enschede|Franeker|Geldermalsen|Heerlen|Leiden|Nijmegen|Raalte|Roosendaal|Ter Apel|Veenendaal|Venlo|Zwolle"), l("Beukenlaan|Burgemeester Vosstraat|Hoofdstraat|Lindelaan|Nieuwstraat|Schoolstraat"), l("Overijssel|Noord-Brabant|Zuid-Holland"), l("Docent|Timmerman|Administratief medewerker|Kok|Chauffeur"), "dddd AA", "06 dddd dddd", "s n", "nl",
	},
	"pl": {
		w("Agnieszka Aniela Bartosz Bożydar Dobromir Edwarda Franciszka Grzegorz Jacek Józefa Krzysztof Ludwik-Jan Marzanna Norbert Roch Łukasz Światosława"),
		w("Adamska Ambroziak Borkowski Bugajna Ciszewska Czerwiński Dudek Dąbek Gawrońska Głowacka Hebda Jasiński Jóźwiak Kaczmarek Krupa-Lis Lewandowska Mazur Misiak Nowak Ociepka Pachulska Pawlak Rzepecki Sikora Szczepański Walczak Zając Zielińska Łasica Świerczek"),
		l("Bytów|Czarnków|Częstochowa|Działdowo|Elbląg|Gliwice|Gostynin|Jarocin|Kalisz|Kolno|Koszalin|Legnica|Limanowa|Międzychód|Opole|Ozorków|Przemyśl|Pułtusk|Radom|Ropczyce|Siedlce|Słupsk|Toruń|Wałbrzych"), l("ul. Lipowa|ul. Szkolna|ul. Piłsudskiego|pl. Rynek|ul. Ogrodowa|al. Solidarności"), l("małopolskie|wielkopolskie|łódzkie|dolnośląskie"), l("Spawacz|Kucharz|Informatyk|Sprzedawca|Lekarz"), "dd-ddd", "+48 ddd ddd ddd", "s n", "pl",
	},
	"se": {
		w("Agneta Bengt-Åke Dan-Erik David Eivor Fredrik Gun-Britt Hasse Inga-Lill Johan Kjell-Arne Lars Lovisa-Maj Niklas Oskar Siv Stefan Torgny Viktor"),
		w("Abrahamsson Andersson Bergström Bååth Carlborg Claesson Danielsson Dufva Edlund Eklund Fogelström Forsberg Gidlöf Gustafsson Holm Hultqvist Jonsson Karlsson Kvist Lindgren Ljungqvist Månsson Norberg Olofsson Persson Rosvall Sjöberg Skoglund Söderlund Westerberg"),
		l("Alingsås|Boden|Borlänge|Eksjö|Filipstad|Halmstad|Helsingborg|Härnösand|Jönköping|Kalmar|Köping|Ljusdal|Luleå|Norrköping|Oskarshamn|Sundsvall|Säffle|Umeå|Vetlanda|Västerås|Växjö"), l("Björkgatan|Järnvägsgatan|Nygatan|Solvägen|Västra Storgatan"), l("Västra Götaland|Norrbotten|Skåne"), l("Ingenjör|Barnskötare|Säljare|Kock"), "ddd dd", "073-ddd dd dd", "s n", "se",
	},
	"dk": {
		w("Bent Dorthe Ejvind Emil Freja Grethe-Lis Hans Hjalmar Jesper Karen Karna Leif-Ole Mette Nikolaj Pia Rasmus Rigmor Svenning Søren"),
		w("Balslev Christensen Dahl Dideriksen Enevoldsen Fjordside Friis Hansen Hvidtfeldt Jespersen Kirkegaard Kofoed Larsen Lyngsø Madsen Nissen Olesen Petersen Ravn Schmidt Skytte Toft Vestergaard-Holm Winther"),
		l("Aabenraa|Bjerringbro|Esbjerg|Faaborg|Helsingør|Herning|Hjørring|Hobro|Ikast|Lemvig|Nakskov|Næstved|Randers|Silkeborg|Svendborg|Vejle"), l("Østergade|Kirkevej|Møllevej|Parkvej|Søndergade"), l("Jylland|Sjælland"), l("Pædagog|Murer|Sygeplejerske"), "dddd", "+45 dddd dddd", "s n", "dk",
	},
	"fi": {
		w("Aino Aulikki Esko Hanna Ilkka Irmeli Jorma Kaisa Kyllikki Lauri Minna Niko Pentti Raili Sami Tuula Ville"), w("Alatalo Haapakoski Heikkinen Hyvärinen Kivimäki Koskela Laine Lehtovaara Mäkinen Nieminen Peltonen Piirainen Tuominen Virtanen Yli-Hukkala"),
		l("Hämeenlinna|Iisalmi|Joensuu|Kemijärvi|Kotka|Kuopio|Lahti|Loimaa|Nivala|Orivesi|Oulu|Pori|Rauma|Vaasa|Ähtäri"), l("Asemakatu|Kirkkotie|Mannerheimintie|Rantatie"), l("Pirkanmaa|Lappi"), l("Opettaja|Sairaanhoitaja"), "ddddd", "+358 4d ddd dddd", "s n", "fi",
	},
	"no": {
		w("Bjørg Bjørn Einar-Johan Grete Gudrun-Marie Jonas Kari Per Silje Solfrid Tor Tormod Wenche"), w("Bakken-Ness Berg Engebretsen Eriksen Hovland Iversen Johnsen Kristoffersen Kvamme Lie Myhre Pedersen Rønning Sæther Sørensen Tjelta Vik"),
		l("Arendal|Brønnøysund|Egersund|Flekkefjord|Fredrikstad|Hamar|Haugesund|Kristiansund|Larvik|Lillehammer|Lyngdal|Røros|Tromsø|Voss"), l("Storgata|Bjørkeveien|Havnegata|Åsveien"), l("Viken|Troms"), l("Sykepleier|Rørlegger"), "dddd", "+47 4dd dd ddd", "s n", "no",
	},
	"tr": {
		w("Abdullatif Aslı Binnaz Burak Canan Cevriye Dursun Emine Emrah-Can Feriha Gökhan Gülseren Hatice-Nur Hülya Kemal Leyla Merve Nazmiye Nurcan Onur Satılmış Volkan Zeynep İsmail"),
		w("Ağaoğlu Bozdemir Cantürk Delibaş Eroğlan Gökmen Kahveci Koç Kurt Pehlivan Polat Sönmez Tatlıses Yavuz Çelik Özdemir Ünlütürk"),
		l("Afyon|Akçaabat|Babaeski|Batman|Denizli|Devrek|Elazığ|Eskişehir|Gediz|Havza|Kayseri|Kozan|Malatya|Merzifon|Ordu|Sivas|Trabzon"), l("Gazi Cad.|Okul Sok.|Mimar Sinan Mah. 3. Sk.|Vatan Bulvarı"), l("Ankara|Kocaeli|Aydın"), l("Şoför|Mühendis|Öğretmen|Kasiyer"), "ddddd", "0 5dd ddd dd dd", "s n", "com.tr",
	},
	"cz": {
		w("Alena Anežka Bohumila Daniel Dobroslav Eliška František Hana Hynek Ivo Jakub Kateřina Květa Lenka Martin Ondřej Pavla Přemysl Radek Svatava Tomáš Věra Zdeněk Čeněk Šárka"),
		w("Beneš Brabcová Chalupa Drbohlav Dvořák Hlaváčková Horáková Kadlec Konečný Kovařík Králová Malý Mareš Nezval Němcová Pokorný Sedláček Svoboda Urban Veselá Zeman Černá Šafránková"),
		l("Blatná|Brno|Chrudim|Domažlice|Havířov|Hlinsko|Karviná|Liberec|Litovel|Olomouc|Pardubice|Telč|Teplice|Třebíč|Zlín|České Budějovice"), l("Masarykova|Komenského|Na Výsluní|Školní|Polní"), l("Moravskoslezský kraj|Plzeňský kraj"), l("Řidič|Účetní|Svářeč"), "ddd dd", "+420 7dd ddd ddd", "s n", "cz",
	},
	"jp": {
		w("Asako Ayaka Chikage Eitaro Hiroshi Hisae Kiyotaka Mineko Shota Shuhei Takako Tokiko Yuki"), w("Amemiya Fujita Fukushige Haneda Hayashi Inoue Isobe Kato Kurihara Muraoka Nakamura Saito Sakamoto Shimizu Sugihara Yamada Yonekura"),
		l("Asahikawa|Ebetsu|Fukuyama|Hamamatsu|Hitoyoshi|Ise|Kagoshima|Kesennuma|Kumamoto|Matsuyama|Niigata|Sasebo|Sukumo|Tendo|Toyama"), l("Hon-machi|Nishi-Shinjuku|Sakae|Umeda|Minami-Aoyama"), l("Aichi|Chiba|Hyogo|Miyagi"), l("Eigyo|Kyoshi|Jimu"), "ddd-dddd", "080-dddd-dddd", "n-n-n s", "jp",
	},
	"in": {
		w("Aarti Abhishek Anasuya Brijesh Chhaya Deepak Dhirendra Gomti Harish Jagannath Kavita Kusum Lakhan Manoj Neha Phoolwati Pooja Rajesh Sanjay Shyamlal Sunita Swapnil Vandana Vinod"), w("Agarwal Ahirwar Bisht Bose Chaurasia Choudhury Dutta Dwivedi-Pant Gupta Joshi Kushwaha Lodhi Malhotra Maurya Nair Nishad Patil Prajapati Rajbhar Sharma Singh Verma"),
		l("Agra|Banda|Chhapra|Coimbatore|Deoria|Hardoi|Jodhpur|Kasganj|Meerut|Rajkot|Sagar|Surat|Varanasi"), l("Gandhi Nagar|Civil Lines|Station Road|Shivaji Marg|Sector 22"), l("Uttar Pradesh|Madhya Pradesh|Tamil Nadu|Rajasthan"), l("Kisan|Teacher|Clerk|Driver"), "dddddd", "+91 9dddd ddddd", "n, s", "in",
	},
	"id": {
		w("Budiono Darmawati Dewi Eko Gilang Ginanjar Joko Kartika Ketut Maryati Ngatiyem Nur Rahmat Slamet Titin Wahyu Yanti"), w("Firmansyah Hidayat Hutagalung Kertajaya Kusuma Lubis Manurung Maulana Nainggolan Nugroho Pangaribuan Permata Pratama Purnomo Rachmawati Setiawan Simanjuntak Sutrisno Wibowo"),
		l("Balikpapan|Bandung|Bogor|Bukittinggi|Cirebon|Denpasar|Garut|Jambi|Kediri|Kupang|Magelang|Malang|Manado|Pontianak|Semarang|Surakarta|Tarakan"), l("Jl. Sudirman No.|Jl. Diponegoro No.|Jl. Merdeka|Gg. Melati"), l("Jawa Barat|Jawa Timur|Bali"), l("Guru|Petani|Karyawan swasta|Wiraswasta|PNS"), "ddddd", "+62 81d dddd dddd", "s n", "co.id",
	},
	"vn": {
		l("Anh|Be Ba|Bich Ngoc|Cuc Hoa|Dinh Loc|Duc|Dung|Hai|Hieu Nghia|Hoang|Hong Nhung|Khanh|Kim Chi|Lan|Linh|Minh Tuan|My Duyen|Phuong|Quang|Quoc Dat|Thanh Ha|Thu Trang|Tuyet Mai|Van Nam"), l("Au|Cao|Luong|Tran|Vu"),
		l("Bac Ninh|Bien Hoa|Can Tho|Cao Lanh|Da Lat|Dong Hoi|Ha Giang|Hai Phong|Long Xuyen|My Tho|Nha Trang|Quy Nhon|Tam Ky|Vinh|Vung Tau"), l("Duong Le Loi|Duong Nguyen Trai|Pho Hue|Duong 3 Thang 2"), l("Nghe An|Lam Dong"), l("Giao vien|Ke toan|Cong nhan"), "dddddd", "09dd ddd ddd", "n s", "com.vn",
	},
	"au": {
		w("Beau Bronte Callan Coralie Darren Dulcie Elise Gavin Graeme Hayley Jarrod Jirra Kirsty Lachlan Mitch Narelle Noeleen Ollie Renae Shane Tahlia Tarni Wal Warren"), w("Antonopoulos Badgery Barwick Cassar Cootes Doherty Farrugia Fuimaono Gleeson Hoang Kearney Kirkpatrick-Dunn Lawson McKenzie Ngata Papadopoulos Quinlan Rigby Stavrou Tran Vukovic Woolcott Yunupingu"),
		l("Albury|Ballarat|Bendigo|Broome|Bunbury|Cairns|Cowra|Dubbo|Geelong|Katherine|Launceston|Mackay|Orange|Toowoomba|Warrnambool|Wollongong"), l("George St|Railway Pde|Kingsford Rd|Wattle Gr|Esplanade"), w("NSW VIC QLD WA SA TAS"), l("Tradie|Nurse|Surveyor"), "dddd", "04dd ddd ddd", "n s", "com.au",
	},
	"ca": {
		w("Adéline Amélie Brandon Bryson Chantal Clément-Jules Donalda Gaétane Gordon Jocelyne Mathieu Meaghan Normand Rhéal Shawna Tanner Tyler"), w("Arsenault Beauchesne Bouchard Campbell Chiasson Desrosiers Dhaliwal Fortin Gauvreau Landry-Roy Lavoie MacLeod Ouellet Sinclair Thériault Tremblay Wong"),
		l("Bathurst|Brampton|Chibougamau|Estevan|Gatineau|Guelph|Kelowna|Kenora|Lethbridge|Moncton|Red Deer|Rimouski|Saguenay|Thunder Bay|Wetaskiwin"), l("Rue Principale|King St W|Chemin du Lac|Dundas St|8th Ave SE"), w("ON QC BC AB MB NS NB"), l("Nurse|Teacher|Électricien"), "HdX dGd", "(NNd) NNN-dddd", "n s", "ca",
	},
	"ar": {
		w("Agustina Ailén Celina-Luz Claudio Eusebio Ezequiel Florencia Germán Gladys-Mabel Jazmín Marisa Maximiliano-José Nahuel Norma-Elsa Rocío Rosendo Santiago Valeria Zulma"), w("Albarracín Barrionuevo Bianchi Carrizo Cáceres Dalmasso Fernández Giacobone Ledesma Lescano Maidana Ojeda Oviedo-Paz Paz Ríos Sosa Vera Yapura Zárate"),
		l("Concordia|Corrientes|Córdoba|Goya|Mar del Plata|Oberá|Paraná|Pergamino|Resistencia|Rosario|Santa Fe|Tartagal|Trelew|Venado Tuerto"), l("Av. Corrientes|Calle Mitre|Sarmiento|Bv. San Juan"), l("Misiones|Tucumán|Formosa"), l("Empleado|Abogada"), "Adddd", "+54 9 351 ddd-dddd", "s n", "com.ar",
	},
	"za": {
		w("Ayanda Busisiwe Chantelle Dewald Kagiso Kgomotso Lerato Musa Nandi Nkosinathi Petronella Pieter Sizwe Tebogo Thabo"), l("Botha|Breytenbach|Govender|Mokoena|Molefe|Ngcobo|Nkosi|Sekhukhune|Steenkamp|Vermaak|van Wyk"),
		l("Aliwal North|Bloemfontein|Durban|Ermelo|Graaff-Reinet|Kimberley|Pietermaritzburg|Rustenburg|Tzaneen"), l("Main Road|Church Street|Jan Smuts Avenue"), l("Free State|KwaZulu-Natal"), l("Teacher"), "dddd", "+27 7d ddd dddd", "n s", "co.za",
	},
}

// freshFiller gives words of a language for prose.
func freshFiller(lang string) []string {
	switch lang {
	case "de":
		return w("Kunde möchte Rückruf wegen der letzten Abrechnung Gerät läuft wieder nach Neustart Angebot verlängert bis Monatsende Unterlagen fehlen noch wurde erneut angefordert Termin verschoben alles geklärt")
	case "fr":
		return w("le dossier est incomplet en attente du justificatif rappeler demain matin contrat renouvelé pour un an panne signalée au service technique visite prévue mardi sans suite pour le moment")
	case "es":
		return w("cliente pide información sobre la tarifa nueva se envía presupuesto avería resuelta en remoto pendiente de firma cita aplazada al jueves documentación recibida y archivada")
	case "pt":
		return w("cliente solicita segunda via do boleto visita técnica remarcada aguardando peça do fornecedor contrato renovado sem pendências documentação enviada")
	case "it":
		return w("cliente chiede preventivo aggiornato guasto risolto da remoto in attesa di conferma appuntamento spostato a giovedì documenti ricevuti pratica chiusa")
	case "nl":
		return w("klant wil graag teruggebeld worden over de factuur storing opgelost na herstart offerte verstuurd wacht op akkoord afspraak verzet naar donderdag")
	case "pl":
		return w("klient prosi o kontakt w sprawie faktury usterka usunięta zdalnie oczekuje na podpis wizyta przełożona na czwartek dokumenty kompletne")
	}
	return w("caller asked about the latest invoice and wants a copy sent again issue was fixed after a restart renewal quote is valid until month end waiting on paperwork from head office rescheduled to next Thursday no further questions escalated to second line")
}

func freshProducts() []string {
	return l("Charlotte wrap dress|Oliver desk lamp|Brooklyn sneaker low|Kent shower curtain|Ruby lipstick 04|Jasmine rice 5kg|Arnold Palmer mug|USB-C cable 2m|Ryobi drill set|Linen shirt Marco|Ivy planter small|Victor mousetrap|Granny Smith apples|Earl Grey tea 100g|Wool socks 3-pack|Washington hoodie|Yoga mat 6mm|Pearl necklace|LED bulb E27 9W|Olivia armchair|Wireless mouse M185")
}

func freshCompanies(lang string) []string {
	switch lang {
	case "de", "at":
		return l("Hansen & Sohn Spedition|Müller Bau GmbH|Elektro Krüger KG|Nordlicht Energie AG|Bäckerei Sommer|Stadtwerke Talheim|Weber Maschinenbau GmbH|Autohaus Bergmann|Kraft Logistik GmbH & Co. KG|Praxisbedarf Lenz e.K.|Druckerei Holzapfel GmbH|Gartenbau Winkler")
	case "fr":
		return l("Transports Girard SARL|Menuiserie Leblanc|Société Nouvelle Durand|Boulangerie du Port|Électricité Morvan SAS|Imprimerie Centrale|Garage Fontaine|BTP Rhône SA|Pharmacie de l'Horloge|Conserverie Le Goff")
	case "it":
		return l("Officine Bruni S.r.l.|Ferramenta Gallo|Caseificio Valle Verde|Edilizia Moretti SpA|Studio Tecnico Longhi|Trasporti Adriatica srl|Cantina Sociale Colli|Farmacia Centrale")
	case "es", "mx", "br", "pt":
		return l("Talleres Romero S.L.|Distribuidora del Norte|Comercial Ibérica SA|Panificadora Santa Rosa|Transportes Vega e Hijos|Constructora Alameda|Metalúrgica União Ltda|Padaria Estrela|Farmacia Central|Agropecuária Boa Vista Ltda")
	}
	return l("Riverside Plumbing Inc|Baxter & Lowe LLC|Northgate Foods Ltd|Silverline Freight|Harper Consulting Group|Acme Tooling Corp|Blue Heron Media|Summit Dental Supply|Carter Brothers Roofing|Greenfield Farms Co-op|Pinnacle Staffing LLC|Quartz Systems plc")
}
