# Everything a person or CI does with this repository. `make` or `make help` lists it.

GO          ?= go
FUZZRUNS    ?= 200000
TESTFLAGS   ?=
# N is the number of generated statements of hunt and differ; MAJORS are the servers they run on.
N           ?= 20000
MAJORS      ?= 15 18
# SHOTS is the folder that screenshots writes into.
SHOTS       ?= screenshots
# FILES is the number of pg_hba.conf files of hba for each major, SERVERS that of seeded over all majors.
FILES       ?= 1000
SERVERS     ?= 500
# A release has a tag; any other build says what main.go says.
VERSION     ?= $(shell git describe --tags --exact-match 2>/dev/null)

# The linters, pinned. They run by `go run`, so that none of their modules is in go.mod (docs/adr/0007).
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK    := github.com/kisielk/errcheck@v1.30.0

.PHONY: help demo test build lint bench bench-access bench-discover bench-scan bench-portal screenshots pictures fuzz hunt sqlsmith differ hba seeded race check clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: ## a private PostgreSQL with sample data, a policy, and the gateway in front of it
	@build/prepare demo
	@$(MAKE) --no-print-directory build
	@bin/postern demo $(DEMOFLAGS)

test: ## all tests, on PostgreSQL 13 to 18
	@build/prepare test
	$(GO) test -timeout 40m $(TESTFLAGS) ./...

build: ## bin/postern
	$(GO) build -trimpath $(if $(VERSION),-ldflags '-X main.version=$(VERSION)') -o bin/postern ./cmd/postern

lint: ## gofumpt, vet, staticcheck, errcheck
	@out=$$($(GO) run $(GOFUMPT) -l cmd internal test); [ -z "$$out" ] || { echo "not formatted by gofumpt:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ERRCHECK) -ignoretests -exclude .errcheck ./...

race: ## the packages where goroutines meet, under the race detector, on one major
	@build/prepare test
	POSTERN_TEST_MAJORS=15 $(GO) test -race -timeout 40m $(TESTFLAGS) ./internal/gateway/... ./internal/engine/postgres/pgwire/... ./internal/audit/... ./internal/state/... ./internal/identity/... ./internal/daemon/...

fuzz: ## every fuzz target on FUZZRUNS (200000) inputs, then hunt (N=0: without it)
	@test/fuzz/run $(FUZZRUNS)
	@[ "$(N)" = 0 ] || $(MAKE) --no-print-directory hunt

hunt: ## N (20000) generated statements against both walls on MAJORS (15 18), looking for a hidden value in the answers
	POSTERN_HUNT=$(N) POSTERN_HUNT_MAJORS="$(MAJORS)" POSTERN_HUNT_SEED=$(SEED) $(GO) test -count=1 -timeout 24h -v -run TestHunt ./test/hunt

sqlsmith: ## N (20000) statements of sqlsmith for each of three subjects at both walls, looking for a hidden value in the answers
	@build/prepare test
	POSTERN_SQLSMITH=$(N) POSTERN_SQLSMITH_SEED=$(SEED) $(GO) test -count=1 -timeout 24h -v -run TestSQLsmith ./test/hunt

differ: ## N (20000) random queries over random policies: the gateway's answer must be a second implementation's
	POSTERN_DIFFER=$(N) POSTERN_DIFFER_SEED=$(SEED) $(GO) test -count=1 -timeout 24h -v -run TestDiffer ./test/differ

hba: ## random pg_hba.conf files against real connections, FILES (1000) with 20 attempts for each major; as root also from another network
	@build/prepare test
	POSTERN_HBA_FILES=$(FILES) POSTERN_HBA_SEED=$(SEED) $(GO) test -count=1 -timeout 24h -v -run TestHBAAgreesWithServers ./test/scan

seeded: ## SERVERS (500) random servers with one to twelve seeded faults to be found, and near misses not to be; and all pairs of faults
	@build/prepare test
	POSTERN_PAIRS=1 POSTERN_SEEDED_SERVERS=$(SERVERS) POSTERN_SEED=$(SEED) $(GO) test -count=1 -timeout 24h -v -run 'TestSeeded|TestPairs' ./test/scan

bench: ## pgbench direct, through a plain relay and through the gateway, and the guard by itself
	@build/prepare bench
	$(GO) test -timeout 60m -run '^$$' -bench 'Gateway|Costs|Classify' -benchtime 1x ./test/bench -args -write $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)
	$(GO) test -timeout 20m -run '^$$' -bench . -benchmem ./internal/engine/postgres/pgsql

bench-portal: ## 200 people on the portal beside a gateway under load: how long pages take, and what the gateway loses
	@build/prepare bench
	$(GO) test -timeout 60m -run '^$$' -bench Portal -benchtime 1x ./test/bench -args -seconds 15 -rounds 4 -write $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)

bench-discover: ## scores of discover by class, group and difficulty, and what runs cost
	@build/prepare bench
	$(GO) test -timeout 60m -run '^$$' -bench Discover -benchtime 1x ./test/classify -args -write $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)

bench-access: ## what grants cost: ten thousand that end at once, a thousand that are held
	@build/prepare test
	$(GO) test -timeout 60m -run '^$$' -bench Access -benchtime 1x ./test/access -args -write $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)

bench-scan: ## what a scan costs on default servers of each major, and on large ones
	@build/prepare test
	$(GO) test -timeout 60m -run '^$$' -bench ScanCost -benchtime 1x ./test/scan -args -write $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)

screenshots: ## pictures of every page of the portal as everybody, into SHOTS (screenshots)
	@build/prepare test
	POSTERN_SCREENSHOTS=$(abspath $(SHOTS)) $(GO) test -count=1 -timeout 20m -run TestEveryPage ./test/browser

pictures: ## the pictures of the guide anew, from the running program, into docs/guide/pictures
	@build/prepare test
	POSTERN_PICTURES=$(CURDIR)/docs/guide/pictures $(GO) test -count=1 -timeout 20m -run TestPlayed ./test/browser

check: ## what CI runs, start to end
	.ci/run

clean: ## remove what was built
	rm -rf bin
