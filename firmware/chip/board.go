package chip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pins are how many there are.
const pins = 40

const (
	defaultBaud     = 115200
	defaultPause    = 100 * time.Millisecond
	defaultMaxPause = 5 * time.Second
	haste           = time.Second      // a start that ends by itself sooner was no use
	maxHasty        = 10               // such starts in a row, before each takes longer than the one before
	calm            = 10 * time.Second // a start that lives so long is no panic in a row

	startTimeout = 30 * time.Second
	longestDog   = 3600 // seconds
)

// The statuses with which a process ends.
const (
	statusRestart  = 64
	statusSleep    = 65
	statusBrownout = 66
	statusPowerCut = 99
)

// Board is a virtual board. Its methods may be called from any goroutine.
type Board struct {
	cfg    Config
	root   *os.Root
	flash  int64        // its size
	pico   *micropython // nil: an ESP32
	serial *serial
	calls  chan func(*machine)
	stop   func()
	done   chan struct{}

	mu    sync.Mutex
	state State
}

func (s State) clone() State {
	s.Pins = slices.Clone(s.Pins)
	return s
}

// Open takes a board in hand; it has no power yet. Close it.
func Open(cfg Config) (*Board, error) {
	if cfg.Start == nil {
		cfg.Start = Direct{}.Start
	}
	if cfg.Network == "" {
		cfg.Network = NetworkDirect
	}
	if cfg.Event == nil {
		cfg.Event = func(Event) {}
	}
	cfg.Pause = cmp.Or(cfg.Pause, defaultPause)
	cfg.MaxPause = max(cfg.Pause, cmp.Or(cfg.MaxPause, defaultMaxPause))
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, err
	}
	fuses, err := ReadFuses(cfg.Dir)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("chip: %s is no board's folder: %w", cfg.Dir, err)
	}
	var pico *micropython
	if fuses.Chip == RP2040 {
		found, err := findMicroPython(cfg.MicroPython, cfg.MicroPythonAt)
		if err != nil {
			root.Close()
			return nil, err
		}
		pico = &found
		if cfg.Serial != nil {
			cfg.Serial = &terminal{to: cfg.Serial}
		}
	}
	if err := makeFolders(root); err != nil {
		root.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Board{
		cfg: cfg, root: root, flash: flashSize(fuses.Chip), pico: pico, serial: newSerial(cfg.Serial, cfg.Baud),
		calls: make(chan func(*machine)), stop: stop, done: make(chan struct{}),
		state: State{Phase: PhaseOff},
	}
	m := &machine{Board: b, phase: PhaseOff, pins: map[int]Pin{}, inputs: map[int]int{}, radio: true, timer: time.NewTimer(0)}
	go m.run(ctx)
	return b, nil
}

// call has the machine do something, and waits until it says that it is done.
func (b *Board) call(ctx context.Context, do func(m *machine, done func(error))) error {
	result := make(chan error, 1)
	ask := func(m *machine) { do(m, func(err error) { result <- err }) }
	select {
	case b.calls <- ask:
	case <-b.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-result:
		return err
	case <-b.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// held does something while the chip is held in reset.
func (b *Board) held(ctx context.Context, do func() error) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.halt(func() {
			err := do()
			if m.phase != PhaseOff {
				m.schedule(ResetExternal, 0)
			}
			done(err)
		})
	})
}

// machine is the board's inside. One goroutine has it to itself.
type machine struct {
	*Board
	phase  Phase
	starts int
	reset  Reset
	slot   string
	pins   map[int]Pin

	inputs map[int]int
	radio  bool
	cut    *int64 // where the power goes, in bytes written; nil: nobody asked for it

	written int64 // of these, before this start

	timer  *time.Timer // of the phase: the pause, the watchdog, the sleep
	dog    time.Duration
	sleep  *wakeup
	panics int // in a row
	hasty  int // starts in a row that ended by themselves within haste

	process *running
	then    []func() // what waits for the end of the process
}

// running is a process and our ends of it.
type running struct {
	Process
	control *os.File
	since   time.Time
	lines   chan string
	ended   chan Exit
	ending  bool
	cut     *int64 // what it was told of the machine's; it tells every write then
	before  int64  // written before it
	written int64  // as it told
}

// wakeup is what ends a deep sleep.
type wakeup struct {
	after      time.Duration // 0: no timer
	pin, level int           // pin -1: none
}

// run is the machine's goroutine.
func (m *machine) run(ctx context.Context) {
	defer close(m.done)
	defer m.root.Close()
	m.disarm()
	for {
		var lines <-chan string
		var ended <-chan Exit
		if m.process != nil {
			lines, ended = m.process.lines, m.process.ended
		}
		select {
		case <-ctx.Done():
			if m.process != nil {
				m.kill()
				m.drain()
			}
			m.enter(PhaseOff)
			return
		case ask := <-m.calls:
			ask(m)
		case <-m.timer.C:
			m.timeout()
		case line := <-lines:
			m.obey(line)
		case exit := <-ended:
			m.end(exit)
		}
	}
}

// drain waits for the end of a process that nobody asks anything more.
func (m *machine) drain() {
	for {
		select {
		case <-m.process.lines:
		case exit := <-m.process.ended:
			m.tell(Event{Kind: Stopped, Exit: exit})
			m.process = nil
			return
		}
	}
}

func (m *machine) tell(e Event) {
	e.Start = m.starts
	m.cfg.Event(e)
}

func (m *machine) disarm() { m.timer.Stop() }

// enter changes the phase; whatever the old one waited for, it waits no more.
func (m *machine) enter(p Phase) {
	m.disarm()
	m.phase = p
	m.show()
}

// show brings the state that others see up to date.
func (m *machine) show() {
	pins := make([]Pin, 0, len(m.pins))
	for _, p := range m.pins {
		pins = append(pins, p)
	}
	slices.SortFunc(pins, func(a, b Pin) int { return a.Number - b.Number })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = State{Phase: m.phase, Starts: m.starts, Reset: m.reset, Slot: m.slot, Pins: pins}
}

// schedule starts the board after the pause, or after a longer one.
func (m *machine) schedule(reason Reset, pause time.Duration) {
	m.reset = reason
	if reason != ResetCrash && reason != ResetWatchdog {
		m.panics = 0
	}
	m.enter(PhaseStarting)
	m.timer.Reset(max(pause, m.cfg.Pause))
}

// halt ends what runs, and does something when it is gone.
func (m *machine) halt(then func()) {
	if m.process == nil {
		m.disarm()
		then()
		return
	}
	m.then = append(m.then, then)
	m.kill()
}

// after does something at once, or where a process is about to be gone, when it is.
func (m *machine) after(do func()) {
	if m.process == nil || !m.process.ending {
		do()
		return
	}
	m.then = append(m.then, do)
}

func (m *machine) kill() {
	m.process.ending = true
	m.disarm()
	m.process.Kill()
}

func (m *machine) timeout() {
	switch m.phase {
	case PhaseStarting:
		m.start()
	case PhaseSleeping:
		m.schedule(ResetSleep, m.slower())
	case PhaseRunning:
		m.tell(Event{Kind: Watchdog})
		m.halt(func() {
			m.serial.print(fmt.Sprintf("\r\nwatchdog: not fed for %v\r\n", m.dog))
			m.panicked(ResetWatchdog)
		})
	default: // nothing is waited for
	}
}

// slower is the pause before the next start of a board that does nothing but start: a start costs its host
// more than the sketch's own share of it.
func (m *machine) slower() time.Duration {
	if m.hasty <= maxHasty {
		return 0
	}
	return min(m.cfg.Pause<<min(m.hasty-maxHasty, 16), m.cfg.MaxPause)
}

// panicked starts the board again, later each time.
func (m *machine) panicked(reason Reset) {
	pause := m.cfg.Pause << min(m.panics, 16)
	panics := m.panics + 1
	m.schedule(reason, min(pause, m.cfg.MaxPause))
	m.panics = panics
}

// start is the boot ROM, the bootloader, and the jump into the image.
func (m *machine) start() {
	if m.reset != ResetSleep && (m.pico == nil || !remembers(m.reset)) {
		if err := m.root.Remove(rtcFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			_ = m.root.RemoveAll(rtcFile) // a folder, which the sketch made
		}
	}
	m.starts++
	m.pins = map[int]Pin{}
	var executable []byte
	if m.pico == nil {
		slot, image, err := boot(m.root)
		if err != nil {
			m.serial.print("\r\nno image that starts; waiting for the cable\r\n")
			m.enter(PhaseWaiting)
			m.tell(Event{Kind: Waiting, Err: err})
			return
		}
		m.slot, executable = slotNames[slot], image
	}
	m.dog, m.sleep = 0, nil
	m.enter(PhaseRunning)
	m.tell(Event{Kind: Started, Reset: m.reset, Slot: m.slot})
	if err := m.launch(executable); err != nil {
		m.tell(Event{Kind: Stopped, Err: err})
		m.panicked(ResetCrash)
	}
}

// program is what the process runs: an image's executable, or MicroPython.
func (m *machine) program(executable []byte) (program *os.File, args []string, err error) {
	if m.pico == nil {
		program, err = sealed(executable)
		return program, nil, err
	}
	program, err = os.Open(m.pico.loader)
	return program, m.pico.args, err
}

func (m *machine) launch(executable []byte) (err error) {
	program, args, err := m.program(executable)
	if err != nil {
		return err
	}
	defer program.Close()
	control, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	// In the socket before the process is: what is wired to it, and the air around it.
	for pin, value := range m.inputs {
		write(control, pinLine(pin, value))
	}
	if !m.radio {
		write(control, radioLine(false))
	}
	stdin, stdout, err := m.serial.plug()
	if err != nil {
		control.Close()
		return err
	}
	defer stdin.Close()
	defer stdout.Close()

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	process, err := m.cfg.Start(ctx, Exec{
		Dir: m.cfg.Dir, Env: m.env(), Program: program, Args: args, Stdin: stdin, Serial: stdout, Control: theirs,
	})
	if err != nil {
		control.Close()
		m.serial.unplug()
		return err
	}
	r := &running{
		Process: process, control: control, since: time.Now(), lines: make(chan string), ended: make(chan Exit),
		cut: m.cut, before: m.written,
	}
	m.process = r
	go r.watch(m.serial)
	return nil
}

// env is what the process is told.
func (m *machine) env() []string {
	env := []string{"BOARD_SLOT=" + m.slot, "BOARD_RESET=" + string(m.reset), "BOARD_NET=" + string(m.cfg.Network)}
	if m.cut != nil {
		at := int64(1 << 62)
		if *m.cut >= 0 {
			at = max(0, *m.cut-m.written)
		}
		env = append(env, "BOARD_CUT="+strconv.FormatInt(at, 10))
	}
	if m.cfg.Clock != nil {
		env = append(env, "BOARD_TIME="+strconv.FormatInt(m.cfg.Clock().Unix(), 10))
	}
	if m.cfg.Hurry > 1 {
		env = append(env, "BOARD_HURRY="+strconv.Itoa(m.cfg.Hurry))
	}
	if len(m.cfg.WiFi) > 0 {
		var air strings.Builder
		for _, w := range m.cfg.WiFi {
			air.WriteString(w.SSID + "\t" + w.Password + "\n")
		}
		env = append(env, "BOARD_WIFI="+air.String())
	}
	return env
}

// watch reads the control line, and then tells of the end: when it does, every line
// was heard and every byte printed.
func (r *running) watch(s *serial) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		readLines(r.control, r.lines, r.cut != nil)
	}()
	exit := r.Wait()
	_ = r.control.SetReadDeadline(time.Now().Add(time.Second)) // something may have escaped with the other end
	<-heard
	r.control.Close()
	s.unplug()
	r.ended <- exit
}

// end is what follows the end of the process.
func (m *machine) end(exit Exit) {
	r := m.process
	m.process = nil
	m.disarm()
	if r.cut != nil && r.cut == m.cut { // else CutAfter was called meanwhile, for the next start
		m.written += r.written
		if *m.cut >= 0 && exit.Status == statusPowerCut && exit.Signal == 0 {
			m.cut = nil
		}
	}
	m.tell(Event{Kind: Stopped, Exit: exit})
	if len(m.then) > 0 {
		then := m.then
		m.then = nil
		for _, do := range then {
			do()
		}
		return
	}
	if time.Since(r.since) >= calm {
		m.panics = 0
	}
	if m.hasty++; r.cut != nil || time.Since(r.since) >= haste {
		m.hasty = 0
	}
	switch {
	case exit.Signal == 0 && exit.Status == statusRestart:
		m.schedule(ResetSoftware, m.slower())
	case exit.Signal == 0 && exit.Status == statusPowerCut:
		m.schedule(ResetPower, m.slower())
	case exit.Signal == 0 && exit.Status == statusBrownout:
		m.schedule(ResetBrownout, m.slower())
	case exit.Signal == 0 && exit.Status == statusSleep:
		m.fallAsleep()
	case exit.Signal != 0:
		m.serial.print(fmt.Sprintf("\r\npanic: %v\r\n", exit.Signal))
		m.panicked(ResetCrash)
	default:
		m.serial.print(fmt.Sprintf("\r\npanic: the program ended with status %d\r\n", exit.Status))
		m.panicked(ResetCrash)
	}
}

func (m *machine) fallAsleep() {
	m.enter(PhaseSleeping)
	m.tell(Event{Kind: Slept})
	if m.sleep == nil {
		return
	}
	if m.sleep.after > 0 {
		m.timer.Reset(m.sleep.after)
	}
	m.wake()
}

// wake ends a sleep whose pin has its level. A pin that nobody touched is pulled up.
func (m *machine) wake() {
	if m.phase != PhaseSleeping || m.sleep == nil || m.sleep.pin < 0 {
		return
	}
	level, set := m.inputs[m.sleep.pin]
	if !set {
		level = 1
	}
	if (level != 0) == (m.sleep.level != 0) {
		m.schedule(ResetSleep, 0)
	}
}

func (m *machine) setInput(pin, value int) {
	m.inputs[pin] = value
	if m.process != nil {
		write(m.process.control, pinLine(pin, value))
	}
	m.wake()
}

func (m *machine) setRadio(on bool) {
	m.radio = on
	if m.process != nil {
		write(m.process.control, radioLine(on))
	}
}

// sealed puts an executable into memory where nobody can change it.
func sealed(executable []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("sketch", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "sketch")
	if _, err := f.Write(executable); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// socketpair gives our end, which does not block, and the process's, which does.
func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}
