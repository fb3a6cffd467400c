// One session in the viewer: a canvas, its volumes, and where they lie. Every session that could be
// registered lies in the world of the first one, so that one place is the same place in all.
const cmbPanes = (() => {
  "use strict";
  const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
  const IMAGES = ["T2starw", "T1w"];
  const LABELS = ["regions", "outlines"];
  const DRAWING = ["updateGLVolume", "drawScene"];
  const CROSSHAIR_MM = 0.3;
  const LINE_PIXELS = 1.1;  // a cylinder of 20 sides is seen a little thinner than it is
  const ADDED = 3;  // value of the ring around an added lesion, in the outlines
  const RING_MM = 4;
  const REACH_MM = 12;  // as far as a lesion may lie from its region

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

  const voxels = (buffer) => new Uint8Array(buffer, Math.round(new DataView(buffer).getFloat32(108, true)));

  // An 8-bit image on the grid of another one, linear between voxels, black outside.
  function resampled(buffer, like) {
    const header = new DataView(like);
    const { shape: [nx, ny, nz] } = gridOf(header);
    const { shape, toVoxel } = gridOf(new DataView(buffer));
    const way = times(toVoxel, affineOf(header));
    const [from, to] = [voxels(buffer), voxels(like)];
    const strides = [1, shape[0], shape[0] * shape[1]];
    const low = [0, 0, 0], high = [0, 0, 0], part = [0, 0, 0];
    for (let k = 0, at = 0; k < nz; k++) for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++, at++) {
      let inside = true;
      for (let axis = 0; axis < 3; axis++) {
        const r = 4 * axis;
        const v = way[r] * i + way[r + 1] * j + way[r + 2] * k + way[r + 3];
        if (!(v >= -0.5 && v <= shape[axis] - 0.5)) { inside = false; break; }
        const below = Math.min(Math.max(Math.floor(v), 0), shape[axis] - 1);
        low[axis] = below * strides[axis];
        high[axis] = Math.min(below + 1, shape[axis] - 1) * strides[axis];
        part[axis] = Math.min(Math.max(v - below, 0), 1);
      }
      if (!inside) { to[at] = 0; continue; }
      const line = (y, z) => from[low[0] + y + z] * (1 - part[0]) + from[high[0] + y + z] * part[0];
      const sheet = (z) => line(low[1], z) * (1 - part[1]) + line(high[1], z) * part[1];
      to[at] = Math.round(sheet(low[2]) * (1 - part[2]) + sheet(high[2]) * part[2]);
    }
    return like;
  }

  const code = async () => {
    const script = await unpack(document.getElementById("viewer-script")).blob();
    return import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  };

  function lookup(colors) {
    const entries = [[0, "#000000"], ...Object.entries(colors)];
    const part = (from) => entries.map(([, color]) => parseInt(color.slice(from, from + 2), 16));
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
      this.made = new Map();  // images on the grids of other panes
      this.resampled = {};  // those that are shown
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
      });
      await nv.attachToCanvas(this.canvas);
      this.nv = nv;
      this.hold();
      // NiiVue adds the padding to the box of a slice, and to its letters once more.
      const letters = nv.drawSliceOrientationText.bind(nv);
      nv.drawSliceOrientationText = (box, plane) => letters(box, plane);
      // Gray that covers what lies below, so that half of one image and half of another is a blend.
      nv.addColormap("plain", { R: [0, 255], G: [0, 255], B: [0, 255], A: [255, 255], I: [0, 255] });
      for (const name of this.session.volumes) {
        const buffer = await opened(this.session.key, name, this.way);
        this.grids[name] = gridOf(new DataView(buffer));
        await nv.loadFromArrayBuffer(buffer, `${name}.nii`);
        this.layers[name] = nv.volumes.at(-1);
      }
      for (const name of IMAGES) if (this.layers[name]) this.layers[name].colormap = "plain";
      this.layers.outlines.setColormapLabel(lookup(looks.outlines));
      this.ring();
    }

    // Beside an earlier session the slices are those of that one: images are resampled to its grid.
    // (NiiVue takes the nearest voxel of an overlay, so that slices would be cut at steps.)
    async sliceLike(other) {
      if ((other ?? null) === (this.like ?? null)) return;
      this.like = other;
      if (other && !this.made.has(other)) this.made.set(other, await this.resample(other));
      this.resampled = this.made.get(other) ?? {};
      const images = IMAGES.map((name) => this.resampled[name] ?? this.layers[name]).filter(Boolean);
      const { volumes } = this.nv;
      volumes.splice(0, volumes.length, ...images, ...LABELS.map((name) => this.layers[name]));
      [this.nv.back, ...this.nv.overlays] = volumes;
    }

    // Every volume that is put in has all of them drawn anew: nothing is drawn until they are painted.
    hold() { for (const name of DRAWING) this.nv[name] = () => {}; }
    release() { for (const name of DRAWING) delete this.nv[name]; }

    async resample(other) {
      const made = {};
      this.hold();
      for (const name of IMAGES.filter((one) => this.layers[one])) {
        const [own, grid] = [opened(this.session.key, name, this.way),
          opened(other.session.key, other.layers[name] ? name : IMAGES[0], other.way)];
        await this.nv.loadFromArrayBuffer(resampled(await own, await grid), `${name} resampled.nii`);
        made[name] = this.nv.volumes.at(-1);
        made[name].colormap = "plain";
      }
      return made;
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
    region() { return this.label(moved(this.grids.regions.toVoxel, this.place()).map(Math.round)); }

    label([i, j, k]) {
      const { shape } = this.grids.regions;
      const inside = [i, j, k].every((v, axis) => v >= 0 && v < shape[axis]);
      return inside ? this.layers.regions.img[i + shape[0] * (j + shape[1] * k)] : 0;
    }

    // The region that is nearest to a place, as of a candidate of one voxel; 0 where none is near.
    nearestRegion(place) {
      const { toVoxel, steps } = this.grids.regions;
      const here = moved(toVoxel, place).map(Math.round);
      const [x, y, z] = steps.map((step) => {
        const reach = Math.floor(REACH_MM / step);
        return [...Array(2 * reach + 1).keys()].map((k) => k - reach);
      });
      let [nearest, found] = [REACH_MM, 0];
      for (const k of z) for (const j of y) for (const i of x) {
        const away = Math.hypot(i * steps[0], j * steps[1], k * steps[2]);
        if (away > nearest || (found && away === nearest)) continue;
        const number = this.label([here[0] + i, here[1] + j, here[2] + k]);
        if (number) [nearest, found] = [away, number];
      }
      return found;
    }

    // The whole look at once: {look, opacity, outlines, blend, windows, crosshair, ruler, zoom, planes}.
    paint(want) {
      const { nv, layers } = this;
      for (const name of IMAGES.filter((one) => layers[one])) {
        const [black, white] = want.windows[name];
        const shown = this.resampled[name] ?? layers[name];
        Object.assign(shown, { cal_min: Math.min(black, white - 1), cal_max: white, opacity: name === "T1w" ? want.blend : 1 });
      }
      if (want.look) layers.regions.setColormapLabel(lookup(this.looks[want.look]));
      layers.regions.opacity = want.look ? want.opacity : 0;
      layers.outlines.opacity = want.outlines || this.added.length ? 1 : 0;
      layers.outlines.setColormapLabel(lookup(want.outlines ? this.looks.outlines : { [ADDED]: this.looks.outlines[ADDED] }));
      this.measured = want.ruler;
      this.release();
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
      // Lines that are thinner than a pixel fall between pixels.
      const pixel = Math.max(...nv.screenSlices.map(({ leftTopWidthHeight: [, , width], fovMM: [mm] }) => Math.abs(mm) / width))
        * nv.scene.pan2Dxyzmm[3] / factor;
      nv.scene.pan2Dxyzmm = [...pan, factor];
      nv.setCrosshairWidth(crosshair ? Math.max(CROSSHAIR_MM / factor, LINE_PIXELS * pixel) : 0);
    }

    // A ruler of the first slice, as it is enlarged now; NiiVue's own does not follow the zoom.
    rule() {
      const { nv } = this;
      const rule = this.box.querySelector(".rule");
      const [left, top, width, height] = nv.screenSlices[0]?.leftTopWidthHeight ?? [];
      const spots = [0.48, 0.52].map((part) => nv.canvasPos2frac([left + part * width, top + height / 2]));
      rule.hidden = !this.measured || !(width > 0) || spots.some(([x]) => x < 0);
      if (rule.hidden) return;
      const [a, b] = spots.map((spot) => nv.frac2mm(spot, 0, true));
      const pixels = 0.04 * width / devicePixelRatio / Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
      const length = [50, 20, 10].find((mm) => mm * pixels < 0.4 * width / devicePixelRatio) ?? 5;
      rule.style.width = `${length * pixels}px`;
      rule.textContent = `${length} mm`;
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
        const center = moved(toVoxel, this.shared(place));
        const [x, y, z] = steps.map((step, axis) => {
          const reach = Math.ceil((RING_MM + 1) / step);
          const from = Math.round(center[axis]) - reach;
          return [...Array(2 * reach + 1).keys()].map((k) => from + k)
            .filter((k) => k >= 0 && k < shape[axis]);
        });
        for (const k of z) for (const j of y) for (const i of x) {
          const away = Math.hypot(...[i, j, k].map((v, axis) => (v - center[axis]) * steps[axis]));
          if (Math.abs(away - RING_MM) <= Math.min(...steps) / 2) outlines.img[i + shape[0] * (j + shape[1] * k)] = ADDED;
        }
      }
    }
  }

  return { Pane, code };
})();
