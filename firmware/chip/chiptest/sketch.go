package chiptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/flota/flota/firmware/chip"
)

// The flags of ../virtual/platform.txt, as far as they change what a program does.
var sketchFlags = []string{
	"-Os", "-g1", "-fno-pie", "-w", "-ffunction-sections", "-fdata-sections", "-fno-rtti", "-std=gnu++17", "-DARDUINO=10607",
	"-DARDUINO_FLOTA_VIRTUAL_ESP32", "-DARDUINO_ARCH_ESP32", "-DARDUINO_ARCH_VIRTUAL", "-DESP32", "-DFLOTA_VIRTUAL", "-DCORE_DEBUG_LEVEL=0",
	`-DARDUINO_BOARD="FLOTA_VIRTUAL_ESP32"`, `-DARDUINO_VARIANT="esp32"`,
}

var linkFlags = []string{
	"-Os", "-no-pie", "-s", "-Wl,--gc-sections", "-Wl,--as-needed", "-static-libgcc", "-static-libstdc++",
}

// libraries that every sketch here may include; what it does not use is not linked.
var sketchLibraries = []string{"Preferences", "WiFi", "FS", "Ticker"}

// Sketch makes an image of a sketch's text, with the Arduino core, libraries and FlotaOTA, as the farm
// builds it; but by g++ alone, with no arduino-cli. The core is compiled once for each of
// its states and kept in $FLOTA_CACHE (default: ~/.cache/flota). Options: Unmanaged, Flags.
func Sketch(t testing.TB, text string, options ...Option) []byte {
	t.Helper()
	o := sketchOptions{managed: true}
	for _, option := range options {
		option(&o)
	}
	core, err := coreArchive()
	if err != nil {
		t.Fatal(err)
	}
	source := "#include <Arduino.h>\n"
	if o.managed {
		source += "#include <FlotaOTA.h>\nFLOTA_MANAGED\n"
	}
	source += text
	sum := sha256.Sum256([]byte(source + "\x00" + strings.Join(o.flags, "\x00") + "\x00" + core))
	name := filepath.Join(filepath.Dir(core), "sketch-"+hex.EncodeToString(sum[:8])+".bin")
	if image, err := os.ReadFile(name); err == nil {
		return image
	}
	dir := t.TempDir()
	file, executable := filepath.Join(dir, "sketch.cpp"), filepath.Join(dir, "sketch")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(sketchFlags, includes(), o.flags, linkFlags, []string{"-o", executable, file})
	args = append(args, core, "-lm", "-lpthread", "-l:libmbedtls.a", "-l:libmbedx509.a", "-l:libmbedcrypto.a")
	if log, err := run("g++", args...); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	raw, err := os.ReadFile(executable)
	if err != nil {
		t.Fatal(err)
	}
	image := chip.MakeImage(raw)
	if len(image) > chip.SlotSize {
		t.Fatalf("%d bytes do not fit a slot", len(image))
	}
	if err := place(name, image); err != nil {
		t.Fatal(err)
	}
	return image
}

// Option changes how a sketch is built.
type Option func(*sketchOptions)

type sketchOptions struct {
	managed bool
	flags   []string
}

// Unmanaged leaves FlotaOTA out, unless the sketch includes it itself.
func Unmanaged(o *sketchOptions) { o.managed = false }

// Flags are for the compiler, as it compiles the sketch.
func Flags(flags ...string) Option {
	return func(o *sketchOptions) { o.flags = append(o.flags, flags...) }
}

func includes() (flags []string) {
	for _, dir := range []string{"virtual/cores/virtual", "virtual/variants/esp32", "esp32/FlotaOTA/src"} {
		flags = append(flags, "-I"+filepath.Join(Firmware(), dir))
	}
	for _, l := range sketchLibraries {
		flags = append(flags, "-I"+filepath.Join(Firmware(), "virtual", "libraries", l, "src"))
	}
	return flags
}

var coreArchive = sync.OnceValues(func() (string, error) {
	var roots []string
	for _, dir := range append([]string{"cores/virtual", "variants/esp32"}, sketchLibraries...) {
		if !strings.Contains(dir, "/") {
			dir = filepath.Join("libraries", dir, "src")
		}
		roots = append(roots, filepath.Join(Firmware(), "virtual", dir))
	}
	agent := filepath.Join(Firmware(), "esp32", "FlotaOTA", "src")
	roots = append(roots, agent)

	digest := sha256.New()
	fmt.Fprintln(digest, sketchFlags)
	var sources []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			fmt.Fprintf(digest, "%s %x\n", path, sha256.Sum256(raw))
			if strings.HasSuffix(path, ".cpp") && !strings.HasPrefix(path, filepath.Join(agent, "esp32")) {
				sources = append(sources, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	cache := os.Getenv("FLOTA_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "flota")
	}
	kept := filepath.Join(cache, "chiptest")
	dir := filepath.Join(kept, hex.EncodeToString(digest.Sum(nil)[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(kept, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "core.a")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	forgetOld(kept, dir)
	return archive, compileAll(dir, archive, sources)
})

// forgetOld removes what other states of the core left.
func forgetOld(kept, but string) {
	const generations = 4
	all, _ := filepath.Glob(filepath.Join(kept, "[0-9a-f]*")) // not the lock
	slices.SortFunc(all, func(a, b string) int { return modified(b) - modified(a) })
	for i, dir := range all {
		if i >= generations && dir != but {
			_ = os.RemoveAll(dir)
		}
	}
}

func modified(name string) int {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return int(info.ModTime().Unix())
}

func compileAll(dir, archive string, sources []string) error {
	objects := make([]string, len(sources))
	errs := make([]error, len(sources))
	slots := make(chan struct{}, 2)
	var all sync.WaitGroup
	for i, source := range sources {
		objects[i] = filepath.Join(dir, fmt.Sprintf("%d.o", i))
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if log, err := run("g++", slices.Concat(sketchFlags, includes(), []string{"-c", source, "-o", objects[i]})...); err != nil {
				errs[i] = fmt.Errorf("%s: %w\n%s", source, err, log)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	_ = os.Remove(archive + ".new") // of somebody who was ended; ar would add to it
	if log, err := run("ar", append([]string{"rcs", archive + ".new"}, objects...)...); err != nil {
		return fmt.Errorf("%w\n%s", err, log)
	}
	for _, o := range objects {
		_ = os.Remove(o)
	}
	return os.Rename(archive+".new", archive)
}

// place writes a file whole or not at all.
func place(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := f.Close(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Arduino makes an image of a sketch's folder with the real arduino-cli in the toolchain that
// $FLOTA_TEST_TOOLCHAIN names (deploy/setup/env.sh), as a compile worker does. The test is
// skipped, with the reason, where there is none.
func Arduino(t testing.TB, sketch string) []byte {
	t.Helper()
	root := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if root == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: no arduino-cli to compile with (deploy/setup/env.sh sets it)")
	}
	dir := t.TempDir()
	config := fmt.Sprintf("directories: {data: %s/data, downloads: %s, user: %s/user}\nmetrics: {enabled: false}\nupdater: {enable_notification: false}\n"+
		"build_cache: {path: %s/cache}\n", root, dir, root, dir)
	name := filepath.Join(dir, "arduino-cli.yaml")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	args := []string{"--config-file", name, "compile", "-b", Board, "--output-dir", filepath.Join(dir, "out")}
	if _, err := os.Stat(filepath.Join(root, "user", "hardware", "flota", "virtual", "libraries", "FlotaOTA")); err != nil {
		args = append(args, "--library", filepath.Join(Firmware(), "esp32", "FlotaOTA"))
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "bin", "arduino-cli"), append(args, sketch)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image, err := os.ReadFile(filepath.Join(dir, "out", filepath.Base(sketch)+".ino.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}
