// Package classify recognises sensitive columns. It is pure: column facts and values go in, classes with evidence come out.
// It knows no connection, no clock and no file, and three feeds share it: the catalog and planner statistics, bounded
// samples, and (later) result columns in the gateway.
//
// The work has two steps. Measure reads the values of one column and keeps counts only (how many values fit which shape, how
// many passed which checksum, how long they are). Judge weighs those counts with names, types, keys, siblings and the
// countries seen, as a sum of log-odds per class against "nothing sensitive", which stays at 0.
//
// No type that leaves this package has a field that could hold a value: evidence is made of a closed set of reasons, counts,
// weights and shapes such as dd-ddd, and a shape can only be made by shapeOf. Custom class names, and the names of columns,
// are identifiers of the catalog or of the policy.
//
// Every number of the model stands in model.go, every class with its prior, tags and mask in taxonomy.tsv, every word in
// lexicon/ and dict/.
package classify
