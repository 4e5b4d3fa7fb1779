// The order in which Gaussians are drawn, found in a worker so that no frame waits for it.

// Sorts along a direction, farthest first: a radix sort of all 32 bits of the depth, so that no two
// different depths are confused. Where the viewer stands shifts all depths alike, and so the order
// depends on the direction alone.
class DepthSorter {
  constructor(means) {
    this.means = means;
    const count = means.length / 3;
    this.depths = new Float32Array(count);
    this.keys = new Uint32Array(this.depths.buffer);
    this.halfway = new Uint32Array(count);
    this.low = new Uint32Array(65536);
    this.high = new Uint32Array(65536);
  }

  farthestFirst([x, y, z]) {
    const { means, depths, keys, halfway, low, high } = this;
    const count = depths.length;
    low.fill(0);
    high.fill(0);
    for (let i = 0; i < count; i++) {
      depths[i] = means[3 * i] * x + means[3 * i + 1] * y + means[3 * i + 2] * z;
      const bits = keys[i];
      // Positive floats order as their bits do, negative ones backwards; here the greatest is least.
      const key = bits >>> 31 ? bits : ~bits & 0x7fffffff;
      keys[i] = key;
      low[key & 65535]++;
      high[key >>> 16]++;
    }
    for (let b = 0, lowStart = 0, highStart = 0; b < 65536; b++) {
      const lowSize = low[b], highSize = high[b];
      low[b] = lowStart;
      high[b] = highStart;
      lowStart += lowSize;
      highStart += highSize;
    }
    for (let i = 0; i < count; i++) halfway[low[keys[i] & 65535]++] = i;
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const item = halfway[i];
      order[high[keys[item] >>> 16]++] = item;
    }
    return order;
  }
}

// The newest order that is finished, of whichever moment and direction was asked for last.
class OrderKeeper {
  // `onOrder(order, moment, forward)` is called for every order that is finished.
  constructor(clouds, onOrder) {
    this.clouds = clouds;
    this.onOrder = onOrder;
    this.asked = null; // the newest request
    this.busy = false;
    this.sorters = new Map();
    this.worker = this.#startWorker();
  }

  // Where a browser refuses workers (some do in pages opened from a disk), sorting blocks a frame.
  #startWorker() {
    const receive = `const sorters = new Map();
      onmessage = ({ data: { moment, means, forward } }) => {
        if (means) { sorters.set(moment, new DepthSorter(means)); return; }
        const order = sorters.get(moment).farthestFirst(forward);
        postMessage({ order, moment, forward }, [order.buffer]);
      };`;
    try {
      const address = URL.createObjectURL(new Blob([`${DepthSorter.toString()}\n${receive}`], { type: "text/javascript" }));
      const worker = new Worker(address);
      this.clouds.forEach(({ means }, moment) => worker.postMessage({ moment, means }));
      worker.onmessage = ({ data }) => this.#finished(data);
      worker.onerror = () => this.#withoutWorker();
      return worker;
    } catch {
      return null;
    }
  }

  ask(moment, forward) {
    this.asked = { moment, forward };
    if (!this.worker) this.#sortHere();
    else if (!this.busy) this.#send();
  }

  #send() {
    this.busy = true;
    this.sent = this.asked;
    this.worker.postMessage(this.asked);
  }

  #finished({ order, moment, forward }) {
    this.busy = false;
    if (this.asked !== this.sent) this.#send();
    this.onOrder(order, moment, forward);
  }

  #withoutWorker() {
    this.worker = null;
    if (this.asked) this.#sortHere();
  }

  #sortHere() {
    const { moment, forward } = this.asked;
    if (!this.sorters.has(moment)) this.sorters.set(moment, new DepthSorter(this.clouds[moment].means));
    this.onOrder(this.sorters.get(moment).farthestFirst(forward), moment, forward);
  }
}
