// Login: as a page of its own, or over the page when a session has ended, with everything below it intact.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./net/api.ts";
import { login, me } from "./state/session.ts";

export function LoginPage() {
  return (
    <main class="login-page">
      <div class="login-card">
        <img src="/icon.svg" alt="" width="36" height="36" />
        <h1>Throughline</h1>
        <p class="muted">Who is calling, why, and what we owe.</p>
        <LoginForm username="" />
      </div>
    </main>
  );
}

export function LoginOver() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="login-over" aria-label="Log in again" onCancel={(event) => event.preventDefault()}>
      <h2>Your session has ended</h2>
      <p class="muted">Log in again; what you typed is still here. A call goes on at your phone.</p>
      <LoginForm username={me()?.username ?? ""} />
    </dialog>
  );
}

function LoginForm({ username: known }: { username: string }) {
  const [username, setUsername] = useState(known);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await login(username, password);
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 401 ? "This name and password do not fit." : error instanceof Error ? error.message : "Not logged in.");
      setBusy(false);
    }
  };
  return (
    <form class="login-form" onSubmit={(event) => void submit(event)}>
      <label>User name<input name="username" autocomplete="username" required autofocus={known === ""} value={username} onInput={(event) => setUsername(event.currentTarget.value)} /></label>
      <label>Password<input name="password" type="password" autocomplete="current-password" required autofocus={known !== ""} value={password} onInput={(event) => setPassword(event.currentTarget.value)} /></label>
      <div class="bad-text" role="alert">{problem}</div>
      <button type="submit" class="btn primary" aria-busy={busy}>Log in</button>
    </form>
  );
}
