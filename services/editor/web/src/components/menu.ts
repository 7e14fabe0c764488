/** How every menu and its items look. */
export const menuPanel = 'z-50 rounded-xl border border-line bg-surface p-1 shadow-xl outline-none'
export const menuItem =
  'flex w-full cursor-pointer items-center gap-2.5 rounded-lg px-3 py-1.5 text-sm outline-none select-none data-[highlighted]:bg-sunken data-[disabled]:pointer-events-none data-[disabled]:opacity-50'
