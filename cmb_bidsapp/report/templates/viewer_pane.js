// One session in the viewer: a canvas, its volumes, and where they lie. Every session that could be
// registered lies in the world of the first one, so that one place is the same place in all.
const cmbPanes = (() => {
  "use strict";
  const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
  const CROSSHAIR_MM = 0.3;
  const ADDED = 3;  // value of the ring around an added lesion, in the outlines
  const RING_MM = 4;

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpack = (element) => new Response(new Blob([bytes(element.textContent)]).stream()
    .pipeThrough(new DecompressionStream("gzip")));

  // 4 x 4 matrices, rows one after the other; the last row is 0 0 0 1.
  const times = (a, b) => IDENTITY.map((_, k) =>
    [0, 1, 2, 3].reduce((sum, n) => sum + a[k - k % 4 + n] * b[4 * n + k % 4], 0));
  const moved = (m, p) => [0, 4, 8].map((r) => m[r] * p[0] + m[r + 1] * p[1] + m[r + 2] * p[2] + m[r + 3]);
  function inverse(m) {
    const [a, b, c, , d, e, f, , g, h, i] = m;
    const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
    const r = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
      d * h - e * g, b * g - a * h, a * e - b * d].map((v) => v / det);
    const shift = [0, 3, 6].map((k) => -(r[k] * m[3] + r[k + 1] * m[7] + r[k + 2] * m[11]));
    return [...r.slice(0, 3), shift[0], ...r.slice(3, 6), shift[1], ...r.slice(6), shift[2], 0, 0, 0, 1];
  }

  const affineOf = (header) => [...Array(12).keys()].map((k) => header.getFloat32(280 + 4 * k, true))
    .concat([0, 0, 0, 1]);

  // Shape, size of voxels, the way from world to voxels, and the axis across the slices.
  function gridOf(header) {
    const affine = affineOf(header);
    const steps = [0, 1, 2].map((axis) => Math.hypot(...[0, 4, 8].map((r) => affine[r + axis])));
    const close = steps.map((step) => Number(step.toFixed(3)));
    return { steps, shape: [42, 44, 46].map((at) => header.getInt16(at, true)),
      toVoxel: inverse(affine), across: close.lastIndexOf(Math.max(...close)) };
  }

  // A volume as text of the page, put to where its head lay in the first session.
  async function opened(key, name, way) {
    const element = document.querySelector(`[data-volume="${name}"][data-of="${key}"]`);
    const buffer = await unpack(element).arrayBuffer();
    const header = new DataView(buffer);
    times(way, affineOf(header)).slice(0, 12).forEach((v, k) => header.setFloat32(280 + 4 * k, v, true));
    header.setInt16(252, 0, true);
    header.setInt16(254, 2, true);
    return buffer;
  }

  const code = async () => {
    const script = await unpack(document.getElementById("viewer-script")).blob();
    return import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  };

  function lookup(colours) {
    const entries = [[0, "#000000"], ...Object.entries(colours)];
    const part = (from) => entries.map(([, colour]) => parseInt(colour.slice(from, from + 2), 16));
    return { R: part(1), G: part(3), B: part(5), A: entries.map(([, c], k) => (k ? 255 : 0)), I: entries.map(([n]) => Number(n)) };
  }

  class Pane {
    // session: an entry of data.sessions; box: the element with its canvas.
    constructor(session, box) {
      this.session = session;
      this.box = box;
      this.canvas = box.querySelector("canvas");
      this.way = session.to_first ?? IDENTITY;
      this.back = inverse(this.way);
      this.layers = {};
      this.grids = {};
      this.added = [];
    }

    async open(Niivue, looks) {
      this.looks = looks;
      const nv = new Niivue({
        logLevel: "error", loadingText: "", dragAndDropEnabled: false, isRadiologicalConvention: true,
        sagittalNoseLeft: true, multiplanarShowRender: 0, crosshairColor: [0.94, 0.89, 0.26, 0.6],
        crosshairWidth: CROSSHAIR_MM, crosshairWidthUnit: "mm", crosshairGap: 12, fontColor: [0.8, 0.8, 0.8, 1],
        fontSizeScaling: 0.3, dragMode: 4, viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
        rulerColor: [0.8, 0.8, 0.8, 1], rulerWidth: 2,
      });
      await nv.attachToCanvas(this.canvas);
      this.nv = nv;
      // Grey that covers what lies below, so that half of one image and half of another is a blend.
      nv.addColormap("plain", { R: [0, 255], G: [0, 255], B: [0, 255], A: [255, 255], I: [0, 255] });
      for (const name of this.session.volumes) {
        const buffer = await opened(this.session.key, name, this.way);
        this.grids[name] = gridOf(new DataView(buffer));
        await nv.loadFromArrayBuffer(buffer, `${name}.nii`);
        this.layers[name] = nv.volumes.at(-1);
      }
      for (const name of ["T2starw", "T1w"]) if (this.layers[name]) this.layers[name].colormap = "plain";
      this.layers.outlines.setColormapLabel(lookup(looks.outlines));
      this.ring();
    }

    // Beside an earlier session the slices are those of that one: its image lies below, all black.
    async sliceLike(other) {
      if ((other ?? null) === (this.like ?? null)) return;
      const here = this.place();
      if (this.below) this.nv.removeVolume(this.below);
      this.like = other;
      this.below = null;
      if (other) {
        await this.nv.loadFromArrayBuffer(await opened(other.session.key, "T2starw", other.way), "below.nii");
        this.below = this.nv.volumes.at(-1);
        Object.assign(this.below, { colormap: "plain", cal_min: 300, cal_max: 301 });
        this.nv.setVolume(this.below, 0);
      }
      this.nv.updateGLVolume();
      this.go(here);
    }

    // Where the crosshair is, in the world of the first session, and in that of its own.
    place() { return [...this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true)].slice(0, 3); }
    own() { return moved(this.back, this.place()); }
    shared(own) { return moved(this.way, own.map(Number)); }
    go(place) {
      this.nv.scene.crosshairPos = this.nv.mm2frac(place, 0, true);
      this.nv.drawScene();
    }

    slice() {
      const { toVoxel, across, shape } = this.grids.T2starw;
      const number = Math.round(moved(toVoxel, this.place())[across]) + 1;
      const all = shape[across];
      return number >= 1 && number <= all ? `slice ${number} of ${all}` : "outside the image";
    }

    // Number of the region at the crosshair, 0 outside.
    region() {
      const { toVoxel, shape } = this.grids.regions;
      const [i, j, k] = moved(toVoxel, this.place()).map(Math.round);
      const inside = [i, j, k].every((v, axis) => v >= 0 && v < shape[axis]);
      return inside ? this.layers.regions.img[i + shape[0] * (j + shape[1] * k)] : 0;
    }

    // The whole look at once: {look, opacity, outlines, blend, windows, crosshair, ruler, zoom, planes}.
    paint(want) {
      const { nv, layers } = this;
      for (const name of ["T2starw", "T1w"]) {
        if (layers[name]) Object.assign(layers[name], { cal_min: Math.min(want.windows[name][0], want.windows[name][1] - 1), cal_max: want.windows[name][1] });
      }
      if (layers.T1w) layers.T1w.opacity = want.blend;
      if (want.look) layers.regions.setColormapLabel(lookup(this.looks[want.look]));
      layers.regions.opacity = want.look ? want.opacity : 0;
      layers.outlines.opacity = want.outlines || this.added.length ? 1 : 0;
      layers.outlines.setColormapLabel(lookup(want.outlines ? this.looks.outlines : { [ADDED]: this.looks.outlines[ADDED] }));
      nv.opts.isRuler = want.ruler;
      nv.updateGLVolume();
    }

    // One plane, or a large axial one with the two others beside it.
    planes(kind) {
      const [axial, coronal, sagittal, all] = [0, 1, 2, 3];
      const tile = (sliceType, ...position) => ({ sliceType, position });
      this.nv.setSliceType(kind);
      if (kind !== all) this.nv.clearCustomLayout();
      else this.nv.setCustomLayout([tile(axial, 0, 0, 0.6, 1), tile(coronal, 0.6, 0, 0.4, 0.5), tile(sagittal, 0.6, 0.5, 0.4, 0.5)]);
    }

    // Zooming keeps the crosshair in the middle.
    zoom(factor, crosshair) {
      const { nv } = this;
      const middle = nv.frac2mm([0.5, 0.5, 0.5]);
      const here = nv.frac2mm(nv.scene.crosshairPos);
      const pan = factor === 1 ? [0, 0, 0] : [0, 1, 2].map((axis) => middle[axis] - factor * here[axis]);
      nv.opts.crosshairWidth = crosshair ? CROSSHAIR_MM / factor : 0;
      nv.setPan2Dxyzmm([...pan, factor]);
    }

    // What another pane shows: the same place, moved and enlarged alike.
    follow(other) {
      this.nv.scene.pan2Dxyzmm = [...other.nv.scene.pan2Dxyzmm];
      this.go(other.place());
    }

    // A ring around each lesion that the reader added, in the volume of the outlines.
    ring() {
      const { layers: { outlines } } = this;
      if (!outlines) return;
      this.bare ??= outlines.img.slice();
      outlines.img.set(this.bare);
      const { toVoxel, shape, steps } = this.grids.outlines;
      for (const place of this.added) {
        const centre = moved(toVoxel, this.shared(place));
        const [x, y, z] = steps.map((step, axis) => {
          const reach = Math.ceil((RING_MM + 1) / step);
          const from = Math.round(centre[axis]) - reach;
          return [...Array(2 * reach + 1).keys()].map((k) => from + k)
            .filter((k) => k >= 0 && k < shape[axis]);
        });
        for (const k of z) for (const j of y) for (const i of x) {
          const away = Math.hypot(...[i, j, k].map((v, axis) => (v - centre[axis]) * steps[axis]));
          if (Math.abs(away - RING_MM) <= Math.min(...steps) / 2) outlines.img[i + shape[0] * (j + shape[1] * k)] = ADDED;
        }
      }
    }
  }

  return { Pane, code };
})();
