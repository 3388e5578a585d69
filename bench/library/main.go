// SPDX-License-Identifier: BSL-1.0

// The questions of questions.hpp, put to goroutines: counts, gates and lines are the same. GOMAXPROCS says how many carriers.
//
//	go QUESTION [DIVISOR]
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var divisor = 1

func scaled(count int) int { return max(count/divisor, 1) }

func report(name string, value float64, unit string) { fmt.Printf("%s %.6g %s\n", name, value, unit) }

func each(begin time.Time, count int) float64 {
	return float64(time.Since(begin).Nanoseconds()) / float64(count)
}

func must(right bool, what string) {
	if !right {
		fmt.Fprintln(os.Stderr, "wrong:", what)
		os.Exit(1)
	}
}

// Goroutines wait in front of it until all are there.
type gate struct {
	here   sync.WaitGroup
	opened chan struct{}
}

func newGate(expected int) *gate {
	g := &gate{opened: make(chan struct{})}
	g.here.Add(expected)
	return g
}

func (g *gate) pass() {
	g.here.Done()
	<-g.opened
}
func (g *gate) waitForAll() { g.here.Wait() }
func (g *gate) open()       { close(g.opened) }

func askSwitch() {
	rounds := scaled(4_000_000)
	start := newGate(2)
	var all sync.WaitGroup
	for i := 0; i < 2; i++ {
		all.Add(1)
		go func() {
			start.pass()
			for i := 0; i < rounds; i++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	start.waitForAll()
	begin := time.Now()
	start.open()
	all.Wait()
	report("switch", each(begin, 2*rounds), "ns")
}

func askSpawnJoin() {
	rounds := scaled(1_000_000)
	ended := 0
	one := func() {
		var done sync.WaitGroup
		done.Add(1)
		go func() {
			ended++
			done.Done()
		}()
		done.Wait()
	}
	for i := 0; i < rounds/10; i++ {
		one()
	}
	begin := time.Now()
	for i := 0; i < rounds; i++ {
		one()
	}
	report("spawn_join", each(begin, rounds), "ns")
}

func askSpawnMany() {
	count := scaled(100_000)
	ends := make([]int, count)
	result := 0.0
	for round := 0; round < 2; round++ {
		var all sync.WaitGroup
		begin := time.Now()
		for i := 0; i < count; i++ {
			all.Add(1)
			go func() {
				ends[i] = i
				all.Done()
			}()
		}
		all.Wait()
		result = each(begin, count)
	}
	report("spawn_many", result, "ns")
}

func askMutex() {
	rounds := scaled(20_000_000)
	var mutex sync.Mutex
	sum := 0
	begin := time.Now()
	for i := 0; i < rounds; i++ {
		mutex.Lock()
		sum++
		mutex.Unlock()
	}
	result := each(begin, rounds)
	must(sum == rounds, "count under the mutex")
	report("mutex", result, "ns")
}

func askContended() {
	const goroutines = 1_000
	rounds := scaled(10_000)
	var mutex sync.Mutex
	sum := 0
	start := newGate(goroutines)
	var all sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		all.Add(1)
		go func() {
			start.pass()
			for i := 0; i < rounds; i++ {
				mutex.Lock()
				sum++
				mutex.Unlock()
			}
			all.Done()
		}()
	}
	start.waitForAll()
	begin := time.Now()
	start.open()
	all.Wait()
	result := each(begin, goroutines*rounds)
	must(sum == goroutines*rounds, "count under the mutex")
	report("contended", result, "ns")
}

func roundTrip(name string) {
	rounds := scaled(1_000_000)
	there, back := make(chan int), make(chan int)
	start := newGate(2)
	done := make(chan bool)
	go func() {
		start.pass()
		for i := 0; i < rounds; i++ {
			back <- <-there + 1
		}
	}()
	go func() {
		start.pass()
		right := true
		for i := 0; i < rounds; i++ {
			there <- i
			right = <-back == i+1 && right
		}
		done <- right
	}()
	start.waitForAll()
	begin := time.Now()
	start.open()
	right := <-done
	result := each(begin, rounds)
	must(right, "an answer")
	report(name, result, "ns")
}

func askCrowd() {
	const items = 40
	pairs := scaled(10_000)
	through := make(chan int, 16)
	start := newGate(2 * pairs)
	sums := make([]int, pairs)
	var all sync.WaitGroup
	all.Add(2 * pairs)
	for p := 0; p < pairs; p++ {
		go func() {
			start.pass()
			for i := 0; i < items; i++ {
				through <- i
			}
			all.Done()
		}()
		go func() {
			start.pass()
			for i := 0; i < items; i++ {
				sums[p] += <-through
			}
			all.Done()
		}()
	}
	start.waitForAll()
	begin := time.Now()
	start.open()
	all.Wait()
	result := each(begin, pairs*items)
	sum := 0
	for _, s := range sums {
		sum += s
	}
	must(sum == pairs*(items*(items-1)/2), "sum of the items")
	report("crowd", result, "ns")
}

func skynet(up chan<- int, first, leaves int) {
	if leaves == 1 {
		up <- first
		return
	}
	from := make(chan int)
	for i := 0; i < 10; i++ {
		go skynet(from, first+i*(leaves/10), leaves/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-from
	}
	up <- sum
}

func askSkynet() {
	leaves := 1
	for leaves*10 <= scaled(1_000_000) {
		leaves *= 10
	}
	begin := time.Now()
	up := make(chan int)
	go skynet(up, 0, leaves)
	sum := <-up
	result := float64(time.Since(begin).Nanoseconds()) / 1e6
	must(sum == leaves*(leaves-1)/2, "sum of the leaves")
	report("skynet", result, "ms")
}

// With the page tables.
func memoryKiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	must(err == nil, "/proc/self/status")
	total := 0.0
	for _, line := range strings.Split(string(status), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && (words[0] == "VmRSS:" || words[0] == "VmPTE:") {
			kib, _ := strconv.ParseFloat(words[1], 64)
			total += kib
		}
	}
	return total
}

func park(count int, memoryName, timeName string) {
	start := newGate(count)
	before := memoryKiB()
	begin := time.Now()
	for i := 0; i < count; i++ {
		go start.pass()
	}
	start.waitForAll()
	took := each(begin, count)
	report(memoryName, (memoryKiB()-before)/float64(count), "KiB")
	report(timeName, took, "ns")
	os.Exit(0)
}

func nextRandom(seed *uint64) uint64 {
	*seed ^= *seed << 13
	*seed ^= *seed >> 7
	*seed ^= *seed << 17
	return *seed
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func askSleepers() {
	type sleeper struct {
		seed   uint64
		sleeps int
		late   time.Duration
	}
	sleepers := make([]sleeper, scaled(100_000))
	span := time.Duration(scaled(3_000_000_000))
	start := newGate(len(sleepers))
	var end time.Time
	var all sync.WaitGroup
	seed := uint64(1)
	for i := range sleepers {
		mine := &sleepers[i]
		seed += 0x9e3779b97f4a7c15
		mine.seed = seed
		all.Add(1)
		go func() {
			start.pass()
			for now := time.Now(); mine.sleeps == 0 || now.Before(end); mine.sleeps++ {
				sleep := time.Duration(1_000_000 + nextRandom(&mine.seed)%99_000_000)
				due := now.Add(sleep)
				time.Sleep(sleep)
				now = time.Now()
				mine.late += now.Sub(due)
			}
			all.Done()
		}()
	}
	start.waitForAll()
	before := cpuSeconds()
	end = time.Now().Add(span)
	start.open()
	all.Wait()
	used := cpuSeconds() - before
	sleeps, late := 0, 0.0
	for i := range sleepers {
		sleeps += sleepers[i].sleeps
		late += float64(sleepers[i].late)
	}
	report("sleepers", used, "s")
	report("sleepers_each", used*1e9/float64(sleeps), "ns")
	report("sleepers_late", late/1e6/float64(sleeps), "ms")
}

func main() {
	questions := map[string]func(){
		"version":        func() { fmt.Println("Go", strings.TrimPrefix(runtime.Version(), "go")) },
		"switch":         askSwitch,
		"spawn_join":     askSpawnJoin,
		"spawn_many":     askSpawnMany,
		"mutex":          askMutex,
		"contended":      askContended,
		"channel_one":    func() { roundTrip("channel_one") },
		"channel_two":    func() { roundTrip("channel_two") },
		"channel_apart":  func() {}, // goroutines cannot be pinned
		"crowd":          askCrowd,
		"skynet":         askSkynet,
		"parked":         func() { park(scaled(100_000), "parked", "parked_create") },
		"parked_million": func() { park(scaled(1_000_000), "parked_million", "parked_million_create") },
		"sleepers":       askSleepers,
	}
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if len(os.Args) > 2 {
		if n, err := strconv.Atoi(os.Args[2]); err == nil {
			divisor = max(n, 1)
		}
	}
	ask := questions[name]
	if ask == nil {
		fmt.Fprintf(os.Stderr, "usage: PROGRAM QUESTION [DIVISOR]: no question '%s'\n", name)
		os.Exit(2)
	}
	ask()
}
