package classify

// model holds every number of the evidence model: log-odds in natural logarithms, limits and thresholds. The start values of
// classification.md §4 were calibrated on the development set in test/classify; what moved is marked with the start value.
var model = numbers{
	priorCommon:   -5,
	priorSpecific: -6,   // start: -6.5
	priorRare:     -6.2, // start: -8
	priorCustom:   -6,

	nameWhole:       7,
	nameStrong:      6.2, // start: 5
	nameStrongHead:  5.5, // start: no distinction of heads
	nameStrongMixed: 3.2, // start: no distinction of heads
	nameShort:       5.5, // most that a word cut short says
	nameNotHead:     0.5, // factor for a phrase that is not the head among several
	nameActor:       4.5, // created_by: a login or a name, as the values say
	nameWeak:        2.5, // start: 2
	nameWeakMixed:   1.2,
	nameSaysOther:   4.9, // from here on a name speaks against other classes
	nameOther:       -3,
	nameOtherSoft:   -1.5, // the same where the values carry check digits or an unmistakable shape
	comment:         3,
	domain:          5,

	keyReference: 6,
	keySurrogate: -6,

	proven:         9,    // from here on values alone prove what a name only hints at
	smallSet:       6,    // most that check digits say over the few codes of a set
	checksumPass:   0.97, // share of true values that pass
	checksumLimit:  12,
	vetoTested:     20,
	veto:           -6,
	vetoWeight:     -20,
	shapeShare:     0.8, // below: limited evidence; below shapeShareLow: a misfit
	shapeShareLow:  0.4,
	shapeShareCap:  4,
	tokenisedCap:   0.6,
	strongP1:       0.97,
	strongLimit:    12,
	strongMiss:     -4,
	weakLimit:      2,
	weakMiss:       -6,
	dictLimit:      6,
	dictMiss:       -3.5, // start: none
	unlistedNamed:  -0.5,
	dictFull:       0.5, // share of distinct values from which the dictionary counts in full
	rangeFit:       1,
	rangeMiss:      -5,
	needsName:      -9,
	entropyFit:     3,
	entropyMiss:    -4,
	embeddedMany:   10,
	embeddedOne:    5.5,
	embeddedNone:   -8,
	pathsFound:     12,
	maskedShare:    0.8,
	maskedKeep:     2,
	freeTextChars:  40,
	impossible:     -20,
	unlikely:       -3,
	fewDistinct:    -3,
	personContext:  3,
	noPerson:       -2.5, // start: 0
	placeContext:   -16,  // start: -3
	thingContext:   -3,
	healthContext:  2,
	healthOther:    -3,  // dates of treatment where nothing speaks of health
	healthMark:     12,  // a date between proven health columns, whose name says nothing else
	unitContext:    2.5, // a number beside its unit and what was measured
	moneyless:      -6,  // the transaction of a database, not of a bank
	cardContext:    3,
	pairContext:    3,
	referenceTable: -5,
	countrySeen:    2.5,
	countryOther:   -2.5,
	copyOf:         5,
	samePrior:      2,

	negligible: -4, // below: a class that one partition has makes no difference to the others

	assign:      0.5,
	confident:   0.8,
	alternative: 0.2,

	personStrong: 3, // strong classes that make a person table
	smallSetOf:   8, // distinct values below which a column that repeats them is a set of codes
	setProves:    5, // codes of a set that pass a check before it counts as one
}

type numbers struct {
	priorCommon, priorSpecific, priorRare, priorCustom                                                            float64
	nameWhole, nameStrong, nameStrongHead, nameStrongMixed, nameShort, nameNotHead                                float64
	nameActor, nameWeak, nameWeakMixed, nameSaysOther, nameOther, nameOtherSoft                                   float64
	comment, domain, keyReference, keySurrogate                                                                   float64
	checksumPass, checksumLimit, veto, vetoWeight, shapeShare, shapeShareLow                                      float64
	shapeShareCap, tokenisedCap, strongP1, strongLimit, strongMiss                                                float64
	weakLimit, weakMiss, dictLimit, dictMiss, unlistedNamed, dictFull, rangeFit, rangeMiss, needsName             float64
	entropyFit, entropyMiss, embeddedMany, embeddedOne, embeddedNone, pathsFound                                  float64
	maskedShare, maskedKeep, freeTextChars, impossible, unlikely, fewDistinct                                     float64
	personContext, noPerson, placeContext, thingContext, healthContext, cardContext                               float64
	pairContext, referenceTable, countrySeen, countryOther, copyOf, samePrior                                     float64
	negligible, assign, confident, alternative, proven, smallSet, healthMark, healthOther, unitContext, moneyless float64
	vetoTested, personStrong, smallSetOf, setProves                                                               int
}
