package mongo_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/xid"
	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/docstoretest"
	"github.com/flota/flota/pkg/docstore/mongo"
	"github.com/flota/flota/pkg/fault"
)

func TestConformance(t *testing.T) {
	uri, real := docstoretest.Mongo(t)
	name := "flota_test_" + xid.New().String()
	db, err := mongo.Open(t.Context(), uri, name)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, db.Close())
		if real {
			drop(t, uri, name)
		}
	})
	lacks := docstoretest.Lacks{}
	if !real {
		lacks["uniqueness of changes"] = "FerretDB names no index, and answers with an internal error to an update that collides"
	}
	docstoretest.Run(t, func(*testing.T) docstore.DB { return db }, lacks)
}

func drop(t *testing.T, uri, name string) {
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	require.NoError(t, client.Database(name).Drop(context.Background()))
	require.NoError(t, client.Disconnect(context.Background()))
}

func TestAServerThatIsAwayIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := mongo.Open(ctx, "mongodb://127.0.0.1:1/", "flota")
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
}
