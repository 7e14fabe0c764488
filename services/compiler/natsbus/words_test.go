package natsbus

import (
	"testing"

	"google.golang.org/protobuf/proto"

	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/worker"
)

func TestFinishedTellsAgentAndFlash(t *testing.T) {
	attempt := &worker.Attempt{Build: "b", Number: 2}
	got := finished(attempt, worker.Report{Result: &compiler.Result{
		Outcome: compiler.Succeeded,
		Outputs: []compiler.Output{{Role: compiler.OTAData, Name: "boot_app0.bin", Size: 8192, SHA256: "ab", Offset: 0xe000}},
		Agent:   &compiler.Agent{Version: "1.0.0", Flash: 70000, RAM: 900},
		Flash:   &compiler.FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"},
	}})
	got.AtMs = 0
	want := &compilerv1.BuildFinished{
		Build: "b", Attempt: 2, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED,
		Outputs: []*compilerv1.Output{{Role: compilerv1.Role_ROLE_OTADATA, Name: "boot_app0.bin", Size: 8192, Sha256: "ab", Offset: 0xe000}},
		Memory:  &compilerv1.Memory{},
		Agent:   &compilerv1.Agent{Version: "1.0.0", Flash: 70000, Ram: 900},
		Flash:   &compilerv1.FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"},
	}
	if !proto.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	// Absent is not zero.
	if got := finished(attempt, worker.Report{Result: &compiler.Result{Outcome: compiler.Succeeded}}); got.GetAgent() != nil || got.GetFlash() != nil {
		t.Errorf("%v", got)
	}
}
