import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { events } from '$lib/events/events.svelte'
import { followLinks } from '$lib/navigation.svelte'
import { begin } from '$lib/session.svelte'

followLinks()
addEventListener('online', () => events.retry())
mount(App, { target: document.getElementById('app')! })
void begin()
