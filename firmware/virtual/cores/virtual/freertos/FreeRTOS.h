// FreeRTOS, as sketches use it: tasks are threads, priorities and cores are remembered and
// mean nothing. A tick is a millisecond.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef int BaseType_t;
typedef unsigned int UBaseType_t;
typedef uint32_t TickType_t;
typedef uint32_t configSTACK_DEPTH_TYPE;
typedef uint8_t StackType_t;

#define pdFALSE 0
#define pdTRUE 1
#define pdFAIL pdFALSE
#define pdPASS pdTRUE
#define errQUEUE_EMPTY 0
#define errQUEUE_FULL 0
#define errCOULD_NOT_ALLOCATE_REQUIRED_MEMORY -1

#define portMAX_DELAY ((TickType_t)0xffffffffUL)
#define portTICK_PERIOD_MS ((TickType_t)1)
#define portTICK_RATE_MS portTICK_PERIOD_MS
#define configTICK_RATE_HZ 1000
#define configMAX_PRIORITIES 25
#define configMINIMAL_STACK_SIZE 768
#define configMAX_TASK_NAME_LEN 16
#define portNUM_PROCESSORS 2
#define tskIDLE_PRIORITY 0
#define tskNO_AFFINITY 0x7FFFFFFF
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
#define pdTICKS_TO_MS(ticks) ((uint32_t)(ticks))

#ifdef __cplusplus
extern "C" {
#endif

// Critical sections: one lock for the whole board, which interrupt handlers hold while they run.
typedef struct {
  uint32_t unused;
} portMUX_TYPE;
#define portMUX_INITIALIZER_UNLOCKED \
  { 0 }
#define SPINLOCK_INITIALIZER portMUX_INITIALIZER_UNLOCKED
#define portMUX_INITIALIZE(mux) ((void)(mux))
#define spinlock_initialize(mux) ((void)(mux))
void vPortEnterCritical(void);
void vPortExitCritical(void);
#define portENTER_CRITICAL(mux) ((void)(mux), vPortEnterCritical())
#define portEXIT_CRITICAL(mux) ((void)(mux), vPortExitCritical())
#define portENTER_CRITICAL_ISR(mux) portENTER_CRITICAL(mux)
#define portEXIT_CRITICAL_ISR(mux) portEXIT_CRITICAL(mux)
#define portENTER_CRITICAL_SAFE(mux) portENTER_CRITICAL(mux)
#define portEXIT_CRITICAL_SAFE(mux) portEXIT_CRITICAL(mux)
#define taskENTER_CRITICAL(mux) portENTER_CRITICAL(mux)
#define taskEXIT_CRITICAL(mux) portEXIT_CRITICAL(mux)
#define taskENTER_CRITICAL_ISR(mux) portENTER_CRITICAL(mux)
#define taskEXIT_CRITICAL_ISR(mux) portEXIT_CRITICAL(mux)
#define taskDISABLE_INTERRUPTS() vPortEnterCritical()
#define taskENABLE_INTERRUPTS() vPortExitCritical()
#define portDISABLE_INTERRUPTS() vPortEnterCritical()
#define portENABLE_INTERRUPTS() vPortExitCritical()

BaseType_t xPortGetCoreID(void);
BaseType_t xPortInIsrContext(void);
size_t xPortGetFreeHeapSize(void);
size_t xPortGetMinimumEverFreeHeapSize(void);
void *pvPortMalloc(size_t size);
void vPortFree(void *block);

#define configASSERT(x) ((x) ? (void)0 : abort())
#define portBASE_TYPE BaseType_t
#define portYIELD_FROM_ISR(...) ((void)0)
#define portYIELD() vTaskYield()
#define taskYIELD() vTaskYield()
void vTaskYield(void);

#ifdef __cplusplus
}
#endif
