#pragma once
#include "task.h"

typedef struct Timer *TimerHandle_t;
typedef void (*TimerCallbackFunction_t)(TimerHandle_t);

#ifdef __cplusplus
extern "C" {
#endif
TimerHandle_t xTimerCreate(const char *name, TickType_t period, UBaseType_t reload, void *id,
                           TimerCallbackFunction_t callback);
BaseType_t xTimerStart(TimerHandle_t timer, TickType_t ticks);
BaseType_t xTimerStop(TimerHandle_t timer, TickType_t ticks);
BaseType_t xTimerChangePeriod(TimerHandle_t timer, TickType_t period, TickType_t ticks);
BaseType_t xTimerDelete(TimerHandle_t timer, TickType_t ticks);
BaseType_t xTimerIsTimerActive(TimerHandle_t timer);
TickType_t xTimerGetPeriod(TimerHandle_t timer);
void *pvTimerGetTimerID(TimerHandle_t timer);
void vTimerSetTimerID(TimerHandle_t timer, void *id);
const char *pcTimerGetName(TimerHandle_t timer);
#define xTimerReset xTimerStart
#define xTimerStartFromISR(timer, woken) xTimerStart(timer, 0)
#define xTimerStopFromISR(timer, woken) xTimerStop(timer, 0)
#define xTimerResetFromISR(timer, woken) xTimerStart(timer, 0)
#ifdef __cplusplus
}
#endif
