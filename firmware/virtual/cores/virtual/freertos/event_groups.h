#pragma once
#include "FreeRTOS.h"

typedef struct EventGroup *EventGroupHandle_t;
typedef TickType_t EventBits_t;

#ifdef __cplusplus
extern "C" {
#endif
EventGroupHandle_t xEventGroupCreate(void);
void vEventGroupDelete(EventGroupHandle_t group);
EventBits_t xEventGroupSetBits(EventGroupHandle_t group, EventBits_t bits);
EventBits_t xEventGroupClearBits(EventGroupHandle_t group, EventBits_t bits);
EventBits_t xEventGroupWaitBits(EventGroupHandle_t group, EventBits_t bits, BaseType_t clear, BaseType_t all,
                                TickType_t ticks);
EventBits_t xEventGroupSync(EventGroupHandle_t group, EventBits_t set, EventBits_t wait, TickType_t ticks);
#define xEventGroupGetBits(group) xEventGroupClearBits(group, 0)
#define xEventGroupGetBitsFromISR xEventGroupGetBits
#define xEventGroupClearBitsFromISR xEventGroupClearBits
static inline BaseType_t xEventGroupSetBitsFromISR(EventGroupHandle_t group, EventBits_t bits, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  xEventGroupSetBits(group, bits);
  return pdPASS;
}
#ifdef __cplusplus
}
#endif
#ifndef BIT0
#define BIT(n) (1UL << (n))
#define BIT0 0x1
#define BIT1 0x2
#define BIT2 0x4
#define BIT3 0x8
#define BIT4 0x10
#define BIT5 0x20
#define BIT6 0x40
#define BIT7 0x80
#endif
