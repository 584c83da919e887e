package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// computing asks EC2 the few questions that Platen has. The SDK's package for EC2 takes 3 GB of
// memory and minutes of a core to compile, more than all the rest of the program together; signing
// and sending is the SDK's here too (docs/decisions).
type computing struct{ config aws.Config }

const (
	ec2Version  = "2016-11-15" // of EC2's query protocol
	ec2Attempts = 4
	ec2Answer   = 8 << 20 // bytes; the longest answer that is read
)

// instanceType is what EC2 says of a type of instance.
type instanceType struct {
	CPUs       int   `xml:"vCpuInfo>defaultVCpus"`
	MemoryMiB  int64 `xml:"memoryInfo>sizeInMiB"`
	Interfaces int   `xml:"networkInfo>maximumNetworkInterfaces"`
}

// types describes one type of instance; an unknown one is the API error InvalidInstanceType.
func (c computing) types(ctx context.Context, kind string) ([]instanceType, error) {
	var out struct {
		Types []instanceType `xml:"instanceTypeSet>item"`
	}
	err := c.ask(ctx, "DescribeInstanceTypes", url.Values{"InstanceType.1": {kind}}, &out)
	return out.Types, err
}

// zones are the region's availability zones that are available.
func (c computing) zones(ctx context.Context) ([]string, error) {
	var out struct {
		Zones []struct {
			Name  string `xml:"zoneName"`
			State string `xml:"zoneState"`
		} `xml:"availabilityZoneInfo>item"`
	}
	err := c.ask(ctx, "DescribeAvailabilityZones", url.Values{"Filter.1.Name": {"zone-type"}, "Filter.1.Value.1": {"availability-zone"}}, &out)
	var names []string
	for _, z := range out.Zones {
		if z.State == "available" {
			names = append(names, z.Name)
		}
	}
	return names, err
}

// offers are the availability zones in which a type of instance is offered.
func (c computing) offers(ctx context.Context, kind string) ([]string, error) {
	var out struct {
		Zones []string `xml:"instanceTypeOfferingSet>item>location"`
	}
	err := c.ask(ctx, "DescribeInstanceTypeOfferings", url.Values{
		"LocationType": {"availability-zone"}, "Filter.1.Name": {"instance-type"}, "Filter.1.Value.1": {kind},
	}, &out)
	return out.Zones, err
}

// images are the machine images of instances, by their IDs. One that is gone is not there.
func (c computing) images(ctx context.Context, ids []string) (map[string]string, error) {
	images := map[string]string{}
	// By filter and not by ID: an instance that is gone would be an error. A filter takes 200.
	for some := range slices.Chunk(ids, 200) {
		var out struct {
			Instances []struct {
				ID    string `xml:"instanceId"`
				Image string `xml:"imageId"`
			} `xml:"reservationSet>item>instancesSet>item"`
		}
		values := url.Values{"Filter.1.Name": {"instance-id"}}
		for i, id := range some {
			values.Set(fmt.Sprintf("Filter.1.Value.%d", i+1), id)
		}
		if err := c.ask(ctx, "DescribeInstances", values, &out); err != nil {
			return nil, err
		}
		for _, i := range out.Instances {
			images[i.ID] = i.Image
		}
	}
	return images, nil
}

// ask sends one signed request and reads its answer into out. A refusal is a smithy.APIError; what
// AWS asks to try again is tried again.
func (c computing) ask(ctx context.Context, action string, values url.Values, out any) error {
	values.Set("Action", action)
	values.Set("Version", ec2Version)
	for attempt := 1; ; attempt++ {
		again, err := c.once(ctx, values.Encode(), out)
		if err == nil || !again || attempt == ec2Attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt*attempt) * 300 * time.Millisecond):
		}
	}
}

func (c computing) once(ctx context.Context, body string, out any) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(), strings.NewReader(body))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "ec2", c.config.Region, time.Now()); err != nil {
		return false, err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.config.HTTPClient != nil { // nil is the SDK's own default
		client = c.config.HTTPClient
	}
	response, err := client.Do(request)
	if err != nil {
		return true, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, ec2Answer))
	if err != nil {
		return true, err
	}
	if response.StatusCode == http.StatusOK {
		return false, xml.NewDecoder(bytes.NewReader(answer)).Decode(out)
	}
	refusal := &smithy.GenericAPIError{Code: strconv.Itoa(response.StatusCode), Message: response.Status}
	var said struct {
		Code    string `xml:"Errors>Error>Code"`
		Message string `xml:"Errors>Error>Message"`
	}
	if xml.Unmarshal(answer, &said) == nil && said.Code != "" {
		refusal.Code, refusal.Message = said.Code, said.Message
	}
	return response.StatusCode >= 500 || refusal.Code == "RequestLimitExceeded", refusal
}

// endpoint is AWS_ENDPOINT_URL when it is set, as for the SDK's own clients.
func (c computing) endpoint() string {
	if c.config.BaseEndpoint != nil {
		return strings.TrimSuffix(*c.config.BaseEndpoint, "/") + "/"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(c.config.Region, "cn-") {
		domain += ".cn"
	}
	return fmt.Sprintf("https://ec2.%s.%s/", c.config.Region, domain)
}
