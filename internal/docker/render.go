package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"platen/internal/release"
	"platen/internal/topology"
)

const renderedHeader = `# Rendered by Platen. Docker's own compose runs it: docker compose -f compose.yaml up -d
# It names images of this machine's engine. Volumes keep the names that Platen gives them.
`

// Compose renders the environment with a release as a compose.yaml that Docker's own compose
// runs without Platen, in the right order: volumes filled, data healthy, site installed, tasks.
func Compose(t topology.Topology, r release.Release) ([]byte, error) {
	numbers := make([]int, t.Web.Tasks.Min)
	for i := range numbers {
		numbers[i] = i + 1
	}
	p, err := Project(t, &r, numbers)
	if err != nil {
		return nil, err
	}
	if err := addJobs(p, t, r); err != nil {
		return nil, err
	}
	order(p, t)
	for name, s := range p.Services {
		p.Services[name] = literal(s)
	}
	text, err := p.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("render the compose file of %s: %w", t.Project, err)
	}
	return append([]byte(renderedHeader), text...), nil
}

// envInput hands a job its input where nobody can give it a standard input.
const envInput = "PLATEN_INPUT"

// addJobs adds the jobs as services that end. Platen runs them itself, with standard input.
func addJobs(p *types.Project, t topology.Topology, r release.Release) error {
	config := r.Config
	config.Release = r.ID
	for _, j := range t.Jobs {
		s, err := job(t, j.Name, r.Images["jobs"], config, j.Command)
		if err != nil {
			return err
		}
		if len(j.Input) > 0 {
			s.Environment[envInput] = value(string(j.Input))
		}
		p.Services[s.Name] = s
	}
	return nil
}

// order adds what waits for what. Platen waits itself: Compose's waiting looks at Docker's own
// checks, which are seldom.
func order(p *types.Project, t topology.Topology) {
	data := slices.Concat(t.Database.Nodes, t.Sessions.Nodes, t.Objects.Nodes)
	wait := func(name, condition string, others ...string) {
		s, ok := p.Services[name]
		if !ok {
			return
		}
		depends := maps.Clone(s.DependsOn)
		if depends == nil {
			depends = types.DependsOnConfig{}
		}
		for _, other := range others {
			depends[other] = after(condition)
		}
		s.DependsOn = depends
		p.Services[name] = s
	}
	for _, node := range append(slices.Clone(data), topology.ServiceMail) {
		wait(node, types.ServiceConditionCompletedSuccessfully, topology.ServiceInit)
	}
	wait(topology.ServiceEndpoints, types.ServiceConditionHealthy, data...)
	var jobs []string
	for _, j := range t.Jobs {
		jobs = append(jobs, j.Name)
		wait(j.Name, types.ServiceConditionStarted, topology.ServiceEndpoints)
		wait(j.Name, types.ServiceConditionHealthy, data...)
	}
	for n := 1; n <= t.Web.Tasks.Min; n++ {
		wait(t.WebPHP(n), types.ServiceConditionCompletedSuccessfully, jobs...)
	}
}

// literal doubles the dollar signs: Compose would put variables in their place.
func literal(s types.ServiceConfig) types.ServiceConfig {
	environment := types.MappingWithEquals{}
	for name, v := range s.Environment {
		environment[name] = value(strings.ReplaceAll(*v, "$", "$$"))
	}
	s.Environment = environment
	return s
}
