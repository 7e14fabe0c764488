package blob_test

import (
	"testing"

	"github.com/flota/flota/pkg/blob/blobtest"
)

func TestConformance(t *testing.T) { blobtest.Run(t, blobtest.S3(t)) }

func TestConformanceOnMinIO(t *testing.T) { blobtest.Run(t, blobtest.MinIO(t)) }
