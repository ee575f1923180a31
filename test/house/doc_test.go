// Package house_test holds the repository against its own rules: which package may import which, how long files and
// functions may be, what code may not do, and that the documents name things that exist. It reads the files itself, so
// that the test cache knows what the answer depends on.
package house_test
