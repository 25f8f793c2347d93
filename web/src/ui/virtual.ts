// A list of any length with rows of any height: only what can be seen is in the document.
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer, type VirtualItem } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";
import type { RefObject } from "preact";

interface Options {
  scroller: RefObject<HTMLElement>;
  count: number;
  estimate: (index: number) => number;
  keyOf: (index: number) => string;
  initialOffset?: number;
}

export interface VirtualList {
  items: VirtualItem[];
  total: number;
  measure: (element: HTMLElement | null) => void;
  scrollTo: (index: number) => void;
  /** Where a row begins, px. */
  startOf: (index: number) => number;
}

const OVERSCAN = 6;

export function useVirtual({ scroller, count, estimate, keyOf, initialOffset = 0 }: Options): VirtualList {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const holder = useRef<Virtualizer<HTMLElement, HTMLElement> | null>(null);
  const options = {
    count, estimateSize: estimate, getItemKey: keyOf, overscan: OVERSCAN, initialOffset,
    getScrollElement: () => scroller.current,
    observeElementRect, observeElementOffset, scrollToFn: elementScroll,
    onChange: () => redraw(0),
  };
  holder.current ??= new Virtualizer<HTMLElement, HTMLElement>(options);
  const virtualizer = holder.current;
  virtualizer.setOptions({ ...virtualizer.options, ...options });
  useEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  return {
    items: virtualizer.getVirtualItems(),
    total: virtualizer.getTotalSize(),
    measure: (element) => virtualizer.measureElement(element),
    scrollTo: (index) => virtualizer.scrollToIndex(index, { align: "auto" }),
    startOf: (index) => virtualizer.measurementsCache[index]?.start ?? 0,
  };
}
