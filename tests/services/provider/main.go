// A provider that is a schema alone: it serves schema.json beside it, so that `terraform validate` and
// `terraform test` with mock_provider work. It can neither plan nor apply, and validates nothing.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attr struct {
	Type                         json.RawMessage
	Required, Optional, Computed bool
}
type nested struct {
	Block       block  `json:"block"`
	NestingMode string `json:"nesting_mode"`
	MinItems    int64  `json:"min_items"`
	MaxItems    int64  `json:"max_items"`
}
type block struct {
	Attributes map[string]attr   `json:"attributes"`
	BlockTypes map[string]nested `json:"block_types"`
}
type rs struct{ Block block }
type file struct {
	ProviderBlock block         `json:"provider_block"`
	Resources     map[string]rs `json:"resource_schemas"`
	Data          map[string]rs `json:"data_source_schemas"`
}

var modes = map[string]tfprotov5.SchemaNestedBlockNestingMode{"single": tfprotov5.SchemaNestedBlockNestingModeSingle, "list": tfprotov5.SchemaNestedBlockNestingModeList, "set": tfprotov5.SchemaNestedBlockNestingModeSet, "map": tfprotov5.SchemaNestedBlockNestingModeMap}

func conv(b block) *tfprotov5.SchemaBlock {
	o := &tfprotov5.SchemaBlock{}
	for n, a := range b.Attributes {
		t, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck
		if err != nil {
			panic(n + ": " + err.Error())
		}
		o.Attributes = append(o.Attributes, &tfprotov5.SchemaAttribute{Name: n, Type: t, Required: a.Required, Optional: a.Optional, Computed: a.Computed})
	}
	for n, k := range b.BlockTypes {
		o.BlockTypes = append(o.BlockTypes, &tfprotov5.SchemaNestedBlock{TypeName: n, Block: conv(k.Block), Nesting: modes[k.NestingMode], MinItems: k.MinItems, MaxItems: k.MaxItems})
	}
	return o
}

type server struct {
	tfprotov5.ProviderServer // nil: anything beyond schema and validation panics, on purpose
	resp                     *tfprotov5.GetProviderSchemaResponse
}

func (s server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return s.resp, nil
}
func (s server) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}
func (s server) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}
func (s server) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}
func (s server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func main() {
	exe, _ := os.Executable()
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(exe), "schema.json"))
	if err != nil {
		panic(err)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		panic(err)
	}
	r := &tfprotov5.GetProviderSchemaResponse{Provider: &tfprotov5.Schema{Block: conv(f.ProviderBlock)}, ResourceSchemas: map[string]*tfprotov5.Schema{}, DataSourceSchemas: map[string]*tfprotov5.Schema{}}
	for n, s := range f.Resources {
		r.ResourceSchemas[n] = &tfprotov5.Schema{Block: conv(s.Block)}
	}
	for n, s := range f.Data {
		r.DataSourceSchemas[n] = &tfprotov5.Schema{Block: conv(s.Block)}
	}
	name := strings.SplitN(strings.TrimPrefix(filepath.Base(exe), "terraform-provider-"), "_", 2)[0]
	if err := tf5server.Serve("hashicorp/"+name, func() tfprotov5.ProviderServer { return server{resp: r} }); err != nil {
		panic(err)
	}
}
