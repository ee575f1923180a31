package browser_test

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A picture of the guide is as wide as a reader's column, and not much higher than what it is about.
const (
	guideWidth  = 1000
	guideHeight = 760
)

// guide takes a picture for the guide of what a person sees at this point of what TestPlayed plays. It does nothing unless
// POSTERN_PICTURES names a folder: make pictures does.
func (b *tab) guide(t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv("POSTERN_PICTURES")
	if folder == "" {
		return
	}
	b.as(t, look{guideWidth, 600, "light", false})
	b.do(t, chromedp.Evaluate[chromedp.Void]("document.activeElement?.blur()"))
	height := ask(t, b, chromedp.Evaluate[float64](heightOf))
	yes := true
	shot := ask(t, b, func(ctx context.Context, at *chromedp.Target) ([]byte, error) {
		out, err := cdp.Call(ctx, at, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &yes,
			Clip: &page.Viewport{Width: guideWidth, Height: min(height, guideHeight), Scale: 1},
		})
		return out.Data, err
	})
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, reduced(full)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// heightOf is where the last thing on the page ends, with some room below.
const heightOf = `Math.max(...[...document.querySelectorAll("main > *, header")].map((e) => e.getBoundingClientRect().bottom)) + 24`

// mostColours is how many a picture keeps: pages have few, and the shades between them at the edges of letters.
const mostColours = 128

// reduced is a picture with the colours that it has most of; each other one becomes the nearest of them.
func reduced(full image.Image) *image.Paletted {
	bounds := full.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		c := color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) //nolint:forcetypeassert // the model's own
		return color.RGBA{c.R &^ 3, c.G &^ 3, c.B &^ 3, 255}
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	all := make([]color.RGBA, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	palette := color.Palette{}
	for _, c := range all[:min(len(all), mostColours)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			n, known := nearest[c]
			if !known {
				n = uint8(palette.Index(c)) //nolint:gosec // below mostColours
				nearest[c] = n
			}
			out.SetColorIndex(x, y, n)
		}
	}
	return out
}
