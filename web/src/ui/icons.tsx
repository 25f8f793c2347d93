// The icons in use, from one library; always beside a label or under an accessible name.
import {
  ArrowDown, AudioLines, Bell, Building2, CalendarDays, Check, ChevronDown, ChevronUp, CircleAlert, CornerDownLeft, FileText, Handshake, Keyboard, LayoutDashboard, LogOut, Mail, MessageCircle, MessageSquare,
  Monitor, Moon, MousePointerClick, Pause, Pencil, Phone, PhoneCall, PhoneIncoming, PhoneMissed, PhoneOff, PhoneOutgoing, Play, Plus, RotateCcw, Search, Share2, Sun, TriangleAlert,
  User, Users, Wifi, WifiOff, X, type LucideIcon,
} from "lucide-preact";
import type { Channel, WorkItemKind } from "../types.ts";

export {
  ArrowDown, AudioLines, Bell, Building2, CalendarDays, Check, ChevronDown, ChevronUp, CircleAlert, CornerDownLeft, FileText, Keyboard, LayoutDashboard, LogOut, Monitor, Moon, Pause, Pencil, Phone, PhoneCall, PhoneIncoming, PhoneOff, PhoneOutgoing, Play,
  Plus, RotateCcw, Search, Sun, TriangleAlert, User, Users, Wifi, WifiOff, X,
};
export type { LucideIcon };

export const CHANNEL_ICON: Record<Channel, LucideIcon> = {
  phone: Phone, email: Mail, chat: MessageSquare, whatsapp: MessageCircle, sms: MessageCircle, web_form: FileText, social: Share2, self_service: MousePointerClick,
};

export const WORK_ICON: Record<WorkItemKind, LucideIcon> = {
  call: Phone, message: Mail, callback: PhoneCall, missed_call: PhoneMissed, promise: Handshake, follow_up: CornerDownLeft, not_wrapped_up: FileText,
};
