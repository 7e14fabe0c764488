package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// Servers are pinned to the first processor, the load to the second.
const (
	serverCPU = "0"
	loadCPU   = "1"
)

var (
	rate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	failed = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// wrk returns the requests per second that a server on this machine answers.
func wrk(ctx context.Context, url string, seconds, connections int, headers ...string) (float64, error) {
	args := []string{"-c", loadCPU, "wrk", "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", seconds)}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	out, err := exec.CommandContext(ctx, "taskset", append(args, url)...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if m := failed.FindSubmatch(out); m != nil {
		return 0, fmt.Errorf("wrk %s: %s requests were refused", url, m[1])
	}
	m := rate.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk says nothing: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
