package bus

import (
	"context"
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
	if s.Retention == jetstream.InterestPolicy {
		// An interest stream drops what nobody consumes. A new one keeps everything
		// until its consumers are there, or it would drop what comes in between.
		config.Retention = jetstream.LimitsPolicy
		_, err := c.js.CreateStream(ctx, config)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		if err := c.ensureConsumers(ctx, s); err != nil {
			return err
		}
		config.Retention = s.Retention
	}
	if _, err := c.js.CreateOrUpdateStream(ctx, config); err != nil {
		return err
	}
	return c.ensureConsumers(ctx, s)
}

// ensureConsumers makes those of a stream that are known by name.
func (c *Conn) ensureConsumers(ctx context.Context, s *flow.Stream) error {
	for _, consumer := range flow.Consumers {
		if consumer.Stream != s || strings.Contains(consumer.Name, "{") {
			continue
		}
		if _, err := c.js.CreateOrUpdateConsumer(ctx, s.Name, consumerConfig(consumer)); err != nil {
			return fmt.Errorf("consumer %s: %w", consumer.Name, err)
		}
	}
	return nil
}

func consumerConfig(c flow.AnyConsumer) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: c.Name, Description: c.Doc, FilterSubject: c.Filter, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: c.AckWait, MaxDeliver: c.MaxDeliver, MaxAckPending: 1024,
	}
}

func (c *Conn) ensureBucket(ctx context.Context, b flow.AnyBucket) error {
	_, err := c.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: b.Name, Description: b.Doc, Storage: b.Storage, History: 1, TTL: b.TTL, LimitMarkerTTL: markerTTL,
		MaxBytes: b.MaxBytes, MaxValueSize: b.MaxValue,
	})
	return err
}
