package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/flow"
)

// markerTTL is how long a removed key leaves a trace in its bucket. Watchers
// that were away longer find out by comparing.
const markerTTL = time.Hour

// Ensure makes, or brings up to date, the streams, consumers and buckets that
// this service owns. It is idempotent and tries until ctx ends. After an outage
// the connection does it again by itself.
func (c *Conn) Ensure(ctx context.Context) error {
	for _, s := range flow.Streams {
		if s.Owner != c.service {
			continue
		}
		if err := c.insist(ctx, "stream "+s.Name, func(ctx context.Context) error { return c.ensureStream(ctx, s) }); err != nil {
			return err
		}
	}
	for _, b := range flow.Buckets {
		if b.Owner != c.service {
			continue
		}
		if err := c.insist(ctx, "bucket "+b.Name, func(ctx context.Context) error { return c.ensureBucket(ctx, b) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) ensureStream(ctx context.Context, s *flow.Stream) error {
	config := jetstream.StreamConfig{
		Name: s.Name, Description: s.Doc, Subjects: s.Subjects, Retention: s.Retention, Storage: s.Storage, Discard: s.Discard,
		MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, MaxMsgsPerSubject: s.MaxPerSubject, MaxMsgSize: s.MaxMessage,
		Duplicates: s.Duplicates,
	}
	metadata := fingerprint(config)
	if !c.upToDate(ctx, s.Name, metadata) {
		if s.Retention == jetstream.InterestPolicy {
			// An interest stream drops what nobody consumes. A new one keeps everything
			// until its consumers are there, or it would drop what comes in between.
			config.Retention = jetstream.LimitsPolicy
			if _, err := c.js.CreateStream(ctx, config); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return err
			}
			if err := c.ensureConsumers(ctx, s); err != nil {
				return err
			}
			config.Retention = s.Retention
		}
		config.Metadata = metadata
		if _, err := c.js.CreateOrUpdateStream(ctx, config); err != nil {
			return err
		}
	}
	return c.ensureConsumers(ctx, s)
}

// ensureConsumers makes those of a stream that are known by name.
func (c *Conn) ensureConsumers(ctx context.Context, s *flow.Stream) error {
	for _, consumer := range flow.Consumers {
		if consumer.Stream != s || strings.Contains(consumer.Name, "{") {
			continue
		}
		if _, err := c.ensureConsumer(ctx, consumer); err != nil {
			return fmt.Errorf("consumer %s: %w", consumer.Name, err)
		}
	}
	return nil
}

func (c *Conn) ensureConsumer(ctx context.Context, consumer flow.AnyConsumer) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: consumer.Name, Description: consumer.Doc, FilterSubject: consumer.Filter, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: consumer.AckWait, MaxDeliver: consumer.MaxDeliver, MaxAckPending: 1024,
	}
	config.Metadata = fingerprint(config)
	there, err := c.js.Consumer(ctx, consumer.Stream.Name, consumer.Name)
	if err == nil && contains(there.CachedInfo().Config.Metadata, config.Metadata) {
		return there, nil
	}
	return c.js.CreateOrUpdateConsumer(ctx, consumer.Stream.Name, config)
}

func (c *Conn) ensureBucket(ctx context.Context, b flow.AnyBucket) error {
	config := jetstream.KeyValueConfig{
		Bucket: b.Name, Description: b.Doc, Storage: b.Storage, History: 1, TTL: b.TTL, LimitMarkerTTL: markerTTL,
		MaxBytes: b.MaxBytes, MaxValueSize: b.MaxValue,
	}
	config.Metadata = fingerprint(config)
	if c.upToDate(ctx, "KV_"+b.Name, config.Metadata) {
		return nil
	}
	_, err := c.js.CreateOrUpdateKeyValue(ctx, config)
	return err
}

// upToDate says whether a stream is there with this fingerprint. The server
// writes and syncs what it is told to update even if nothing is new, and a start
// would wait for it.
func (c *Conn) upToDate(ctx context.Context, stream string, fingerprint map[string]string) bool {
	s, err := c.js.Stream(ctx, stream)
	return err == nil && contains(s.CachedInfo().Config.Metadata, fingerprint)
}

// fingerprint is metadata that tells one configuration from another.
func fingerprint(config any) map[string]string {
	data, err := json.Marshal(config)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	sum := sha256.Sum256(data)
	return map[string]string{"flota-config": hex.EncodeToString(sum[:8])}
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}
