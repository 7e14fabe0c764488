package solo_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/secret"
)

// Docker can't be had everywhere that tests run. So docker-compose.yml is read by
// Compose's own parser and held against what it names: the binaries' settings, the
// secrets that init.sh makes, files, images. The rest of the deployment, Caddyfile
// and nats.conf, runs for real in TestSeparateProcesses.
func TestComposeFile(t *testing.T) {
	dir := composeFolder(t)
	project := loadCompose(t, dir)
	for _, s := range flow.Services {
		t.Run(string(s), func(t *testing.T) {
			service, there := project.Services[string(s)]
			require.True(t, there)
			require.Equal(t, serviceUser, service.User)
			requireKnownSettings(t, service, settingsOf(t, string(s)))
			requireOwnSecrets(t, service)
			require.Contains(t, service.DependsOn, "nats")
			require.Equal(t, []string{"CMD", "/flota", "--probe"}, []string(service.HealthCheck.Test))
			networks := []string{"inside"}
			if s == flow.Editor {
				networks = append(networks, "outside") // for the packages of MicroPython projects
			}
			require.ElementsMatch(t, networks, slices.Collect(maps.Keys(service.Networks)))
			require.Empty(t, service.Ports, "people and devices come by the gateway")
		})
	}
	t.Run("everything that is named is there", func(t *testing.T) {
		for name, s := range project.Secrets {
			info, err := os.Stat(s.File)
			require.NoError(t, err, name)
			require.NotZero(t, info.Size(), name)
		}
		for name, service := range project.Services {
			for _, v := range service.Volumes {
				if v.Type == types.VolumeTypeBind {
					require.FileExists(t, filepath.Join(solotest.Root(), strings.TrimPrefix(v.Source, dir)), name)
				}
			}
			for _, used := range service.Secrets {
				require.Contains(t, project.Secrets, used.Source, name)
			}
		}
	})
	t.Run("images are pinned", func(t *testing.T) {
		for name, service := range project.Services {
			if service.Build == nil {
				requirePinned(t, name, service.Image)
			}
		}
		for _, file := range []string{"Dockerfile", "Dockerfile.compiler"} {
			text, err := os.ReadFile(filepath.Join(dir, "deploy", "docker", file))
			require.NoError(t, err)
			var stages []string
			for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)(?: AS (\S+))?`).FindAllStringSubmatch(string(text), -1) {
				if !slices.Contains(stages, from[1]) {
					requirePinned(t, file, from[1])
				}
				stages = append(stages, from[2])
			}
		}
	})
	t.Run("what the Dockerfiles copy is there", func(t *testing.T) {
		for _, file := range []string{"Dockerfile", "Dockerfile.compiler"} {
			text, err := os.ReadFile(filepath.Join(dir, "deploy", "docker", file))
			require.NoError(t, err)
			for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(string(text), -1) {
				for source := range strings.FieldsSeq(copied[1]) {
					for _, s := range flow.Services {
						_, err := os.Stat(filepath.Join(solotest.Root(), strings.ReplaceAll(source, "${SERVICE}", string(s))))
						require.NoError(t, err, file)
					}
				}
			}
		}
	})
	t.Run("confined", func(t *testing.T) {
		capabilities := map[string][]string{"gateway": {"NET_BIND_SERVICE"}, volumeOwners: {"CHOWN", "DAC_READ_SEARCH"}}
		for name, service := range project.Services {
			requireConfined(t, service, capabilities[name])
		}
		require.Equal(t, "none", project.Services[volumeOwners].NetworkMode, "the one that is root reaches nobody")
	})
	t.Run("each volume belongs to the user that works on it", func(t *testing.T) { requireOwnVolumes(t, project) })
	t.Run("a public name", func(t *testing.T) {
		gateway := project.Services["gateway"]
		require.Equal(t, map[uint32]string{8080: ":8080", 8081: ":8081", 8443: "127.0.0.1:"}, published(gateway))
		env := publicName(t)
		named := loadCompose(t, dir, env...)
		gateway = named.Services["gateway"]
		require.Equal(t, map[uint32]string{8080: ":80", 8081: ":8081", 8443: ":443"}, published(gateway))
		require.Equal(t, "flota.example.org", *gateway.Environment["FLOTA_SITE"])
		require.Equal(t, "https://flota.example.org", *named.Services["auth"].Environment["FLOTA_PUBLIC_URL"], "so that cookies are secure")
		require.Equal(t, "https://flota.example.org", *named.Services["editor"].Environment["FLOTA_DEVICE_URL"])
	})
	t.Run("health checks", func(t *testing.T) {
		once := onlyOnce(project)
		require.ElementsMatch(t, []string{"minio-users", volumeOwners}, slices.Collect(maps.Keys(once)))
		for name, service := range project.Services {
			if once[name] { // ends when it is done
				require.Empty(t, service.Restart, name)
				continue
			}
			require.NotNil(t, service.HealthCheck, name)
			require.NotEmpty(t, service.HealthCheck.Test, name)
		}
	})
	t.Run("those that run strangers' programs may make namespaces, nobody else", func(t *testing.T) {
		for name, service := range project.Services {
			require.False(t, service.Privileged, name)
			options := []string{"no-new-privileges:true"}
			if name == "compiler" || name == "boards" {
				// Docker's AppArmor profile denies every mount, its seccomp profile namespaces.
				options = append(options, "seccomp:deploy/docker/seccomp-compiler.json", "apparmor:unconfined")
			}
			require.ElementsMatch(t, options, service.SecurityOpt, name)
		}
		requireProfile(t, filepath.Join(dir, "deploy", "docker", "seccomp-compiler.json"))
	})
}

// The secrets of init.sh are derived as flota-solo derives them, so that an
// installation can move from one to the other with its master key.
func TestInitMakesTheSecretsOfSolo(t *testing.T) {
	secrets := filepath.Join(composeFolder(t), "deploy", "docker", "secrets")
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(secrets, name))
		require.NoError(t, err)
		return string(text)
	}
	master, err := secret.Parse(read("master.key"))
	require.NoError(t, err)
	for file, purpose := range map[string]string{
		"key_auth": "service/auth", "key_editor": "service/editor", "key_artifact": "service/artifact", "key_fleet": "service/fleet", "key_device_seal": "device-seal",
	} {
		require.Equal(t, hex.EncodeToString(master.Derive(purpose)), read(file), file)
	}
	info, err := os.Stat(filepath.Join(secrets, "master.key"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "the master key is for nobody else")

	// The server takes each service's password from the variable of this name.
	conf, err := os.ReadFile(filepath.Join(solotest.Root(), "deploy", "nats", "nats.conf"))
	require.NoError(t, err)
	given := map[string]string{}
	for line := range strings.Lines(read("nats.env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		given[name] = value
		require.Contains(t, string(conf), "$"+name)
	}
	for _, s := range flow.Services {
		require.Equal(t, read("nats_"+string(s)), given["NATS_PASSWORD_"+strings.ToUpper(string(s))])
	}

	// A second run changes nothing.
	before := map[string]string{}
	entries, err := os.ReadDir(secrets)
	require.NoError(t, err)
	for _, e := range entries {
		before[e.Name()] = read(e.Name())
	}
	runInit(t, filepath.Join(secrets, "..", "init.sh"))
	for name, content := range before {
		require.Equal(t, content, read(name), name)
	}
}

// composeFolder is a copy of what Compose needs, with the secrets of init.sh.
func composeFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "deploy", "docker"), os.DirFS(filepath.Join(solotest.Root(), "deploy", "docker"))))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "deploy", "docker", "secrets")))
	text, err := os.ReadFile(filepath.Join(solotest.Root(), "docker-compose.yml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-compose.yml"), text, 0o600))
	runInit(t, filepath.Join(dir, "deploy", "docker", "init.sh"))
	return dir
}

func runInit(t *testing.T, script string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", script).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// loadCompose reads the file as it is with these settings.
func loadCompose(t *testing.T, dir string, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")}, cli.WithWorkingDirectory(dir), cli.WithEnv(env))
	require.NoError(t, err)
	project, err := options.LoadProject(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	return project
}

const (
	serviceUser  = "10001:10001"
	volumeOwners = "volume-owners"
)

// requireConfined: nobody is root, but for the one that changes owners.
func requireConfined(t *testing.T, s types.ServiceConfig, capabilities []string) {
	t.Helper()
	if s.Name == volumeOwners {
		require.Equal(t, "0:0", s.User)
	} else {
		require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, s.User, s.Name)
	}
	require.True(t, s.ReadOnly, s.Name)
	require.Equal(t, []string{"ALL"}, s.CapDrop, s.Name)
	require.ElementsMatch(t, capabilities, s.CapAdd, s.Name)
	require.Contains(t, s.SecurityOpt, "no-new-privileges:true", s.Name)
}

// requireOwnVolumes: our images have their folder with its owner, which a new
// volume takes over; the others' volumes are given to them by volume-owners, and
// must not take the image's owner after that.
func requireOwnVolumes(t *testing.T, project *types.Project) {
	t.Helper()
	script := strings.Join(project.Services[volumeOwners].Command, "\n")
	at := map[string]string{}
	for _, v := range project.Services[volumeOwners].Volumes {
		at[v.Source] = strings.TrimPrefix(v.Target, "/volumes/")
	}
	for name, service := range project.Services {
		for _, v := range service.Volumes {
			if v.Type != types.VolumeTypeVolume || service.Build != nil || name == volumeOwners {
				continue
			}
			uid, _, _ := strings.Cut(service.User, ":")
			require.Regexp(t, `(?m)^find .*\b`+at[v.Source]+`\b.* ! -user `+uid+` -exec chown -h `+service.User+` `, script, name)
			require.True(t, v.Volume != nil && v.Volume.NoCopy, name)
			require.Equal(t, types.ServiceConditionCompletedSuccessfully, service.DependsOn[volumeOwners].Condition, name)
			delete(at, v.Source)
		}
	}
	require.Empty(t, at, "volumes of nobody")
}

// onlyOnce are the services that end when they are done: others wait for that.
func onlyOnce(project *types.Project) map[string]bool {
	names := map[string]bool{}
	for _, service := range project.Services {
		for name, d := range service.DependsOn {
			if d.Condition == types.ServiceConditionCompletedSuccessfully {
				names[name] = true
			}
		}
	}
	return names
}

// published are the host's addresses by the container's port.
func published(s types.ServiceConfig) map[uint32]string {
	ports := map[uint32]string{}
	for _, p := range s.Ports {
		ports[p.Target] = p.HostIP + ":" + p.Published
	}
	return ports
}

// publicName are the lines that deploy/README.md gives an operator for one.
func publicName(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(solotest.Root(), "deploy", "README.md"))
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^    (FLOTA_[A-Z_]+=\S+)`).FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, lines)
	env := make([]string, len(lines))
	for i, line := range lines {
		env[i] = line[1]
	}
	return env
}

// requireKnownSettings: a service refuses to start with a setting that it does not know.
func requireKnownSettings(t *testing.T, s types.ServiceConfig, known []string) {
	t.Helper()
	for key := range s.Environment {
		require.Contains(t, known, strings.TrimSuffix(key, "_FILE"), "the %s service does not know %s", s.Name, key)
	}
}

// requireOwnSecrets: a service gets what is made for it, and no more.
func requireOwnSecrets(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	mounted := map[string]bool{}
	for _, m := range s.Secrets {
		shared := m.Source == "key_device_seal" && (s.Name == "auth" || s.Name == "artifact")
		require.True(t, shared || strings.HasSuffix(m.Source, "_"+s.Name), "%s has %s", s.Name, m.Source)
		mounted["/run/secrets/"+m.Source] = false
	}
	for key, value := range s.Environment {
		if strings.HasSuffix(key, "_FILE") && value != nil {
			_, there := mounted[*value]
			require.True(t, there, "%s names %s", key, *value)
			mounted[*value] = true
		}
	}
	for file, used := range mounted {
		require.True(t, used, "%s is mounted for nothing", file)
	}
}

var version = regexp.MustCompile(`[:@].*[0-9]`)

func requirePinned(t *testing.T, where, image string) {
	t.Helper()
	name := image[strings.LastIndex(image, "/")+1:]
	if name == "scratch" { // nothing
		return
	}
	require.Regexp(t, version, name, "%s: %s has no version", where, image)
	require.NotContains(t, name, "latest", where)
}

// requireProfile looks for what bubblewrap calls.
func requireProfile(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var profile struct {
		DefaultAction string
		Syscalls      []struct {
			Names    []string
			Action   string
			Args     []any
			Includes struct{ Caps, Arches []string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &profile))
	require.Equal(t, "SCMP_ACT_ERRNO", profile.DefaultAction)
	allowed := map[string]bool{}
	for _, rule := range profile.Syscalls {
		if rule.Action == "SCMP_ACT_ALLOW" && len(rule.Args)+len(rule.Includes.Caps)+len(rule.Includes.Arches) == 0 {
			for _, name := range rule.Names {
				allowed[name] = true
			}
		}
	}
	for _, needed := range []string{"clone", "unshare", "mount", "umount2", "pivot_root", "sethostname"} {
		require.True(t, allowed[needed], needed)
	}
	for _, forbidden := range []string{"bpf", "init_module", "kexec_load", "reboot", "open_by_handle_at"} {
		require.False(t, allowed[forbidden], forbidden)
	}
}

// settingsOf lists what a service's binary knows, as its --help says.
func settingsOf(t *testing.T, service string) []string {
	t.Helper()
	b, err := serviceBinaries()
	require.NoError(t, err)
	help := exec.CommandContext(within(t, patience), b.Path(service), "--help")
	help.Env = []string{"HOME=" + t.TempDir()} // not what make sets for its scripts
	out, err := help.Output()
	require.NoError(t, err)
	known := regexp.MustCompile(`FLOTA_[A-Z0-9_]+`).FindAllString(string(out), -1)
	require.NotEmpty(t, known)
	return known
}

// serviceBinaries builds the services, once in a run.
var serviceBinaries = sync.OnceValues(func() (solotest.Binaries, error) {
	var packages []string
	for _, s := range flow.Services {
		packages = append(packages, "./services/"+string(s)+"/cmd/"+string(s))
	}
	return solotest.BuildBinaries(context.Background(), scratch, packages...)
})
