package deviceapi

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

type route string

const (
	pollRoute   route = "poll"
	imageRoute  route = "image"
	reportRoute route = "report"
	staticRoute route = "static"
	otherRoute  route = "other"
)

// counts are the metrics of requests. Each counter is looked up once.
type counts struct {
	all  *prometheus.CounterVec
	used *sync.Map // routeStatus → prometheus.Counter
}

type routeStatus struct {
	route  route
	status int
}

func newCounts(registry prometheus.Registerer) counts {
	c := counts{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "flota_device_requests_total", Help: "Requests of devices, by what they asked and the answer's status.",
	}, []string{"request", "status"}), &sync.Map{}}
	registry.MustRegister(c.all)
	return c
}

func (c counts) add(r route, status int) {
	key := routeStatus{r, status}
	counter, ok := c.used.Load(key)
	if !ok {
		counter, _ = c.used.LoadOrStore(key, c.all.WithLabelValues(string(r), strconv.Itoa(status)))
	}
	counter.(prometheus.Counter).Inc()
}
