// Keys, as players everywhere have them; a remote control sends arrows, Enter and Back.

const listenToKeys = (player) => {
  const acts = {
    " ": () => player.toggle(true),
    "k": () => player.toggle(true),
    "j": () => player.jump(-SKIP_SECONDS),
    "l": () => player.jump(SKIP_SECONDS),
    "ArrowLeft": () => player.jump(-STEP_SECONDS),
    "ArrowRight": () => player.jump(STEP_SECONDS),
    "ArrowUp": () => player.loudness(player.video.volume + 0.05, true),
    "ArrowDown": () => player.loudness(player.video.volume - 0.05, true),
    "Home": () => player.seek(0),
    "End": () => player.seek(player.duration),
    "f": () => player.fill(),
    "m": () => player.mute(undefined, true),
    "c": () => player.toggleText(),
    "i": () => player.float(),
    "n": () => player.goNext(),
    "<": () => player.faster(-1),
    ">": () => player.faster(1),
    "MediaPlayPause": () => player.toggle(true),
    "GoBack": () => player.leave(),
    "BrowserBack": () => player.leave(),
  };
  const act = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const elsewhere = target !== document.body && !player.contains(target);
    if (elsewhere || target.matches?.("input[type=text], textarea, select, [contenteditable]")) return;
    // A button that has the focus is pressed by them.
    const pressed = target.closest?.("button, a") && (event.key === " " || event.key === "Enter");
    const ranged = target.matches?.("input[type=range]") && event.key.startsWith("Arrow");
    if (pressed || ranged) return;
    const digit = /^[0-9]$/.test(event.key) && (() => player.seek((player.duration * Number(event.key)) / 10));
    const found = acts[event.key] ?? acts[event.key.toLowerCase()] ?? digit;
    const enter = event.key === "Enter" && (() => player.toggle(true));
    if (!found && !enter) return;
    event.preventDefault();
    (found || enter)();
    player.controls.wake();
  };
  document.addEventListener("keydown", act);
  return () => document.removeEventListener("keydown", act);
};

