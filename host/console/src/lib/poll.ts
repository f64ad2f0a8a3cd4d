/**
 * Does something again after each so many milliseconds while somebody can see it: not in a tab that is hidden, and not
 * beneath a dialog, whose form is about what is shown. Returns what ends it, as an effect wants it.
 */
export function poll(every: number, work: () => void): () => void {
  const timer = setInterval(() => {
    if (!document.hidden && document.querySelector("dialog[open]") === null) work();
  }, every);
  return () => clearInterval(timer);
}
