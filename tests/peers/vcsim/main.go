// A vCenter for tests: govmomi's simulator, and govmomi's own way to import a disk.
//
//	vcsim serve FOLDER     serves on loopback, prints its address, keeps in FOLDER what is uploaded to it
//	vcsim import URL FILE  imports a VMDK as `govc import.vmdk` does
//
// The simulator itself throws away what is uploaded; the handler here keeps it, so that it can be looked at.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vmdk"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
	} else if len(os.Args) == 4 && os.Args[1] == "import" {
		if err := importDisk(context.Background(), os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
	} else {
		log.Fatal("usage: vcsim serve FOLDER | vcsim import URL FILE")
	}
}

// serve runs until its standard input ends, so that it never outlives who started it.
func serve(folder string) {
	model := simulator.VPX()
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("user", "pass")}
	model.Service.TLS = new(tls.Config)
	server := model.Service.NewServer()
	// Patterns with a host count before those without.
	model.Service.ServeMux.HandleFunc("127.0.0.1/nfc/", func(w http.ResponseWriter, r *http.Request) {
		file, err := os.Create(filepath.Join(folder, filepath.Base(r.URL.Path)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer file.Close()
		count, err := io.Copy(file, r.Body)
		if err != nil || count != r.ContentLength {
			http.Error(w, fmt.Sprintf("%d bytes, %v", count, err), http.StatusBadRequest)
		}
	})
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func importDisk(ctx context.Context, address, file string) error {
	at, err := url.Parse(address)
	if err != nil {
		return err
	}
	client, err := govmomi.NewClient(ctx, at, true)
	if err != nil {
		return err
	}
	finder := find.NewFinder(client.Client)
	dc, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	store, err := finder.DefaultDatastore(ctx)
	if err != nil {
		return err
	}
	pool, err := finder.ResourcePool(ctx, "DC0_C0/Resources")
	if err != nil {
		return err
	}
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	return vmdk.Import(ctx, client.Client, file, store, vmdk.ImportParams{
		Datacenter: dc, Pool: pool, Folder: folders.VmFolder,
	})
}
